/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caller preferences, RFC 3841 §7.2, with the feature parameters of RFC 3840 §9. What the RFC tells
 * by predicates of RFC 2533 is compared on the parameters themselves: two filters match when a
 * value can be in both, and a feature that one side does not name is no obstacle.
 */
#include "internal.h"

#include <errno.h>
#include <float.h>

#define RULES_MAX    20  /* §11: "A reasonable number is around 20." */
#define FEATURES_MAX 32  /* of one rule or Contact: what is beyond is not looked at in a Contact */
#define VALUES_MAX   32  /* of one feature */
#define PAIRED_MAX   128 /* values of all rules: each may be compared with all of each Contact */

struct features {
	unsigned n;
	struct stw_param v[FEATURES_MAX];
};

struct rule {
	struct features features;
	unsigned values; /* of all its features */
	bool reject, require, explicit;
};

struct stw_preferences {
	unsigned n, accepting; /* rules, and those of Accept-Contact */
	unsigned values;
	struct rule v[];
};

/* ---- a feature and its values ------------------------------------------------------------------
 */

/* Name of a feature as RFC 3840 §5 decodes it: "sip." and the rest, or the rest. */
struct feature_name {
	bool sip;
	struct stw_str rest;
};

static bool is_base_tag(struct stw_str name, bool *ret_sip)
{
	static const char *const tags[] = { "language", "type", "audio", "automata", "class",
		"duplex", "data", "control", "mobility", "description", "events", "priority",
		"methods", "schemes", "application", "video", "isfocus", "actor", "text",
		"extensions" };

	for (unsigned i = 0; i < STW_ARRAY_SIZE(tags); i++) {
		if (stw_str_equal_nocase(name, stw_str_from(tags[i]))) {
			*ret_sip = i >= 2;
			return true;
		}
	}
	return false;
}

/* @return false: no feature parameter */
static bool feature_name(struct stw_str name, struct feature_name *ret)
{
	struct stw_str rest = name;

	if (name.len && name.ptr[0] != '+') {
		ret->rest = name;
		return is_base_tag(name, &ret->sip);
	}
	rest = stw_str_cut(name, 1, name.len);
	ret->sip = rest.len > 4 && stw_str_equal_nocase(stw_str_cut(rest, 0, 4), STW_STR("sip."));
	ret->rest = ret->sip ? stw_str_cut(rest, 4, rest.len) : rest;
	return ret->rest.len > 0;
}

static bool same_feature(struct stw_str a, struct stw_str b)
{
	struct feature_name left, right;

	return feature_name(a, &left) && feature_name(b, &right) && left.sip == right.sip &&
	       stw_str_equal_nocase(left.rest, right.rest);
}

/* One tag-value or string-value: what it holds, or all but that. */
struct filter {
	enum { FILTER_TOKEN, FILTER_STRING, FILTER_RANGE } kind;
	bool negated;
	struct stw_str text;
	double low, high;
};

/* number = [ "+" / "-" ] 1*DIGIT ["." 0*DIGIT], at the start of `text`, which goes on behind it */
static bool number_read(struct stw_str *text, double *ret)
{
	bool negative = text->len && text->ptr[0] == '-';
	size_t at = negative || (text->len && text->ptr[0] == '+'), first = at;
	double value = 0, unit = 1;

	for (; at < text->len && text->ptr[at] >= '0' && text->ptr[at] <= '9'; at++)
		value = value * 10 + (text->ptr[at] - '0');
	if (at == first)
		return false;
	if (at < text->len && text->ptr[at] == '.') {
		for (at++; at < text->len && text->ptr[at] >= '0' && text->ptr[at] <= '9'; at++) {
			unit /= 10;
			value += unit * (text->ptr[at] - '0');
		}
	}
	*ret = negative ? -value : value;
	*text = stw_str_cut(*text, at, text->len);
	return true;
}

static bool bound_read(struct stw_str text, double *ret)
{
	return number_read(&text, ret) && !text.len;
}

/* numeric behind its "#": ">=" number, "<=" number, "=" number, number ":" number */
static bool range_read(struct stw_str text, struct filter *ret)
{
	bool least = stw_str_starts(text, STW_STR(">=")),
	     most = stw_str_starts(text, STW_STR("<="));

	ret->kind = FILTER_RANGE;
	ret->low = -DBL_MAX;
	ret->high = DBL_MAX;
	if (least || most)
		text = stw_str_cut(text, 2, text.len);
	else if (stw_str_starts(text, STW_STR("=")))
		text = stw_str_cut(text, 1, text.len);
	else if (!number_read(&text, &ret->low) || !stw_str_starts(text, STW_STR(":")))
		return false;
	else
		return bound_read(stw_str_cut(text, 1, text.len), &ret->high);
	if (!bound_read(text, least ? &ret->low : &ret->high))
		return false;
	if (!least && !most)
		ret->low = ret->high;
	return true;
}

static bool filter_read(struct stw_str text, struct filter *ret)
{
	*ret = (struct filter){ .kind = FILTER_TOKEN };
	text = stw_str_trim(text);
	if (stw_str_starts(text, STW_STR("!"))) {
		ret->negated = true;
		text = stw_str_cut(text, 1, text.len);
	}
	ret->text = text;
	if (stw_str_starts(text, STW_STR("#")))
		return range_read(stw_str_cut(text, 1, text.len), ret);
	/* There are only two of them: what is not the one is the other. */
	if (ret->negated && stw_str_equal_nocase(text, STW_STR("TRUE")))
		*ret = (struct filter){ .text = STW_STR("FALSE") };
	else if (ret->negated && stw_str_equal_nocase(text, STW_STR("FALSE")))
		*ret = (struct filter){ .text = STW_STR("TRUE") };
	return text.len > 0;
}

/* The filters of a parameter's value, one after the other. @return 1; 0: no other; -EBADMSG */
static int filter_next(struct stw_str value, size_t *at, struct filter *ret)
{
	bool quoted = value.len >= 2 && value.ptr[0] == '"';
	size_t comma;

	if (!value.ptr)
		value = STW_STR("TRUE");
	if (quoted)
		value = stw_str_cut(value, 1, value.len - 1);
	if (*at > value.len)
		return 0;
	if (*at == 0 && value.len >= 2 && value.ptr[0] == '<' && value.ptr[value.len - 1] == '>') {
		*ret = (struct filter){ .kind = FILTER_STRING,
			.text = stw_str_cut(value, 1, value.len - 1) };
		*at = value.len + 1;
		return 1;
	}
	comma = stw_str_find(value, ',', *at);
	if (!filter_read(stw_str_cut(value, *at, comma), ret))
		return -EBADMSG;
	*at = comma + 1;
	return 1;
}

static bool ranges_meet(const struct filter *a, const struct filter *b)
{
	if (a->negated && b->negated)
		return true;
	if (a->negated)
		return b->low < a->low || b->high > a->high;
	if (b->negated)
		return a->low < b->low || a->high > b->high;
	return a->low <= b->high && b->low <= a->high;
}

/* Is there a value that both let pass? */
static bool filters_meet(const struct filter *a, const struct filter *b)
{
	bool equal = a->kind == b->kind &&
		     (a->kind == FILTER_STRING ? stw_str_equal(a->text, b->text)
					       : stw_str_equal_nocase(a->text, b->text));

	if (a->kind == FILTER_RANGE && b->kind == FILTER_RANGE)
		return ranges_meet(a, b);
	if (equal)
		return a->negated == b->negated;
	return a->negated || b->negated;
}

static bool values_meet(struct stw_str a, struct stw_str b)
{
	struct filter left, right;
	size_t at = 0, behind;

	for (unsigned i = 0; i < VALUES_MAX && filter_next(a, &at, &left) > 0; i++) {
		behind = 0;
		for (unsigned j = 0; j < VALUES_MAX && filter_next(b, &behind, &right) > 0; j++)
			if (filters_meet(&left, &right))
				return true;
	}
	return false;
}

/* ---- rules and Contacts ------------------------------------------------------------------------
 */

static const struct stw_param *feature_find(const struct features *features, struct stw_str name)
{
	for (unsigned i = 0; i < features->n; i++)
		if (same_feature(features->v[i].name, name))
			return &features->v[i];
	return NULL;
}

/* All features of a Contact, as far as there is room. */
static void features_of_contact(struct stw_str params, struct features *ret)
{
	struct feature_name name;
	struct stw_param param;
	size_t at = 0;

	ret->n = 0;
	while (ret->n < FEATURES_MAX && stw_param_next(params, &at, &param) > 0)
		if (feature_name(param.name, &name))
			ret->v[ret->n++] = param;
}

static int rule_add_feature(struct rule *rule, const struct stw_param *param)
{
	struct filter filter;
	unsigned n = 0;
	size_t at = 0;
	int found;

	if (feature_find(&rule->features, param->name))
		return -EBADMSG;
	while ((found = filter_next(param->value, &at, &filter)) > 0)
		n++;
	if (found < 0)
		return found;
	if (n > VALUES_MAX || rule->features.n == FEATURES_MAX)
		return -E2BIG;
	rule->features.v[rule->features.n++] = *param;
	rule->values += n;
	return 0;
}

/* ac-value and rc-value: "*" and parameters (§10). */
static int rule_read(struct stw_str value, struct rule *rule)
{
	struct feature_name name;
	struct stw_param param;
	size_t at = 1;
	int found, err;

	if (!value.len || value.ptr[0] != '*')
		return -EBADMSG;
	while ((found = stw_param_next(value, &at, &param)) > 0) {
		bool *flag = stw_str_equal_nocase(param.name, STW_STR("require")) ? &rule->require
			     : stw_str_equal_nocase(param.name, STW_STR("explicit"))
				     ? &rule->explicit
				     : NULL;

		if (flag && !rule->reject) {
			if (*flag)
				return -EBADMSG;
			*flag = true;
		} else if (feature_name(param.name, &name)) {
			err = rule_add_feature(rule, &param);
			if (err < 0)
				return err;
		}
	}
	return found;
}

static int rules_read(
	struct stw_preferences *preferences, const struct stw_msg *request, enum stw_header header)
{
	struct stw_values values = stw_msg_values(request, header);
	struct stw_str value;
	int err = 0;

	while (err == 0 && stw_values_next(&values, &value)) {
		struct rule *rule = &preferences->v[preferences->n];

		*rule = (struct rule){ .reject = header == STW_HDR_REJECT_CONTACT };
		err = rule_read(value, rule);
		preferences->accepting += !rule->reject;
		preferences->n++;
		preferences->values += rule->values;
		if (err == 0 && preferences->values > PAIRED_MAX)
			err = -E2BIG;
	}
	return err;
}

static unsigned count(const struct stw_msg *request, enum stw_header header)
{
	struct stw_values values = stw_msg_values(request, header);
	struct stw_str value;
	unsigned n = 0;

	while (n <= RULES_MAX && stw_values_next(&values, &value))
		n++;
	return n;
}

int stw_preferences_parse(
	const struct stw_msg *request, struct stw_arena *arena, struct stw_preferences **ret)
{
	struct stw_preferences *preferences;
	unsigned rules;
	int err;

	*ret = NULL;
	if (!stw_msg_find(request, STW_HDR_ACCEPT_CONTACT) &&
		!stw_msg_find(request, STW_HDR_REJECT_CONTACT))
		return 0;
	rules = count(request, STW_HDR_ACCEPT_CONTACT) + count(request, STW_HDR_REJECT_CONTACT);
	if (rules > RULES_MAX)
		return -E2BIG;
	preferences = stw_arena_alloc(arena, sizeof(*preferences) + rules * sizeof(struct rule));
	if (!preferences)
		return -ENOMEM;
	preferences->n = preferences->accepting = preferences->values = 0;
	err = rules_read(preferences, request, STW_HDR_REJECT_CONTACT);
	if (err == 0)
		err = rules_read(preferences, request, STW_HDR_ACCEPT_CONTACT);
	if (err == 0)
		*ret = preferences;
	return err;
}

/* How a rule fits a Contact. */
struct fit {
	bool match;
	unsigned named, all; /* with a match: features of the rule that the Contact names too */
};

static struct fit rule_fit(const struct rule *rule, const struct features *contact)
{
	struct fit fit = { .match = true, .all = rule->features.n };

	for (unsigned i = 0; i < rule->features.n; i++) {
		const struct stw_param *wanted = &rule->features.v[i];
		const struct stw_param *had = feature_find(contact, wanted->name);

		if (had && !values_meet(wanted->value, had->value))
			return (struct fit){ .match = false };
		fit.named += had != NULL;
	}
	return fit;
}

/* §7.2.4, with Figure 1. */
bool stw_preferences_match(const struct stw_preferences *preferences, struct stw_str contact_params,
	unsigned *ret_score)
{
	struct features contact;
	unsigned matching = 0, sum = 0;

	features_of_contact(contact_params, &contact);
	*ret_score = STW_PREFERENCE_MAX;
	if (!contact.n)
		return true; /* immune */
	for (unsigned i = 0; i < preferences->n; i++) {
		const struct rule *rule = &preferences->v[i];
		struct fit fit = rule_fit(rule, &contact);
		bool whole = fit.named == fit.all;

		if (rule->reject && fit.match && whole)
			return false;
		if (!rule->reject && rule->require && (!fit.match || (rule->explicit && !whole)))
			return false;
		if (rule->reject || !fit.match)
			continue;
		matching++;
		if (whole)
			sum += STW_PREFERENCE_MAX;
		else if (!rule->explicit)
			sum += STW_PREFERENCE_MAX * fit.named / fit.all;
	}
	if (preferences->accepting)
		*ret_score = matching ? sum / matching : 0;
	return true;
}

/* §7.2.2 */
bool stw_preferences_implied(const struct stw_msg *request, struct stw_str contact_params)
{
	struct stw_str event = stw_msg_value(request, STW_HDR_EVENT), value;

	if (!contact_params.len)
		return true;
	if (stw_param_find(contact_params, STW_STR("methods"), &value) &&
		!values_meet(value, stw_msg_method_name(request)))
		return false;
	return request->method != STW_METHOD_SUBSCRIBE || !event.len ||
	       !stw_param_find(contact_params, STW_STR("events"), &value) ||
	       values_meet(value, stw_str_trim(stw_str_cut(event, 0, stw_str_find(event, ';', 0))));
}
