/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <string.h>

static const char days[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
	"Oct", "Nov", "Dec" };

#define DAY_S      INT64_C(86400)
#define YEAR_MAX_S INT64_C(253402300799) /* 9999-12-31 23:59:59 */

/* Days since 1970-01-01 of the proleptic Gregorian calendar; months count from March. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t y = month < 3 ? year - 1 : year, era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400, m = (month + 9) % 12;
	int64_t day_of_year = (153 * m + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static unsigned days_in_month(int64_t year, unsigned month)
{
	int64_t next_year = month == 12 ? year + 1 : year;

	return (unsigned)(days_from_civil(next_year, month % 12 + 1, 1) -
			  days_from_civil(year, month, 1));
}

/* "d": a digit; "A": any byte, read elsewhere; all else stands for itself. */
static bool date_has_form(struct stw_str value)
{
	static const char form[] = "AAA, dd AAA dddd dd:dd:dd GMT";
	size_t at;

	if (value.len != sizeof(form) - 1)
		return false;
	for (at = 0; at < value.len; at++) {
		if (form[at] == 'd' ? !char_is(value.ptr[at], CHAR_DIGIT)
				    : form[at] != 'A' && form[at] != value.ptr[at])
			return false;
	}
	return true;
}

static unsigned date_digits(struct stw_str value, size_t at, size_t count)
{
	unsigned number = 0;

	while (count--)
		number = number * 10 + (unsigned)(value.ptr[at++] - '0');
	return number;
}

static unsigned date_name(struct stw_str value, size_t at, const char (*names)[4], unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		if (!memcmp(value.ptr + at, names[i], 3))
			return i;
	return count;
}

/* SIP-date = rfc1123-date: "Sat, 13 Nov 2010 23:29:00 GMT", RFC 3261 §20.17. */
int stw_date_parse(struct stw_str value, int64_t *ret_s)
{
	unsigned year, month, day, hour, minute, second;

	if (!date_has_form(value) || date_name(value, 0, days, 7) == 7)
		return -EBADMSG;
	month = date_name(value, 8, months, 12) + 1;
	day = date_digits(value, 5, 2);
	year = date_digits(value, 12, 4);
	hour = date_digits(value, 17, 2);
	minute = date_digits(value, 20, 2);
	second = date_digits(value, 23, 2);
	if (month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
		second > 60)
		return -EBADMSG;

	*ret_s = days_from_civil(year, month, day) * DAY_S +
		 (int64_t)(hour * 3600 + minute * 60 + second);
	return 0;
}

/* Ends behind what it wrote. */
static char *put_text(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

static char *put_digits(char *at, unsigned number, unsigned digits)
{
	for (unsigned i = digits; i--; number /= 10)
		at[i] = (char)('0' + number % 10);
	return at + digits;
}

/* Without printf(3): each 200 to a REGISTER has a Date. */
void stw_date_write(int64_t seconds, char buffer[STW_DATE_BYTES])
{
	int64_t day, z, era, day_of_era, year_of_era, day_of_year, m;
	unsigned month, rest;
	char *at = buffer;

	if (seconds < 0)
		seconds = 0;
	if (seconds > YEAR_MAX_S)
		seconds = YEAR_MAX_S;
	day = seconds / DAY_S;
	rest = (unsigned)(seconds % DAY_S);
	z = day + 719468;
	era = z / 146097;
	day_of_era = z - era * 146097;
	year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	m = (5 * day_of_year + 2) / 153;
	month = (unsigned)(m < 10 ? m + 2 : m - 10);

	at = put_text(at, days[day % 7], 3);
	at = put_text(at, ", ", 2);
	at = put_digits(at, (unsigned)(day_of_year - (153 * m + 2) / 5 + 1), 2);
	at = put_text(at, " ", 1);
	at = put_text(at, months[month % 12], 3);
	at = put_text(at, " ", 1);
	at = put_digits(at, (unsigned)(year_of_era + era * 400 + (month < 2)), 4);
	at = put_text(at, " ", 1);
	at = put_digits(at, rest / 3600, 2);
	at = put_text(at, ":", 1);
	at = put_digits(at, rest / 60 % 60, 2);
	at = put_text(at, ":", 1);
	at = put_digits(at, rest % 60, 2);
	memcpy(at, " GMT", sizeof(" GMT"));
}
