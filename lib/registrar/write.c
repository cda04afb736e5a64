/* SPDX-License-Identifier: Apache-2.0 */
#include <strowger/registrar.h>

/* qvalue with as many digits as it needs: 0.5, 0.25, 0.125. */
static void write_q(struct stw_writer *writer, unsigned q)
{
	unsigned digits = 3;

	while (digits > 1 && q % 10 == 0) {
		q /= 10;
		digits--;
	}
	stw_write_format(writer, ";q=0.%0*u", (int)digits, q);
}

/* Seconds are rounded up: a binding that still is never says 0, which would mean removed. */
static void write_contact(
	struct stw_writer *writer, const struct stw_binding *binding, int64_t left_ms)
{
	stw_write_text(writer, "Contact: <");
	stw_write_str(writer, binding->uri);
	stw_write_char(writer, '>');
	stw_write_str(writer, binding->params);
	if (binding->q < 1000)
		write_q(writer, binding->q);
	stw_write_text(writer, ";expires=");
	stw_write_uint(writer, ((uint64_t)left_ms + 999) / 1000);
	stw_write_text(writer, "\r\n");
}

void stw_bindings_write_contacts(
	struct stw_writer *writer, const struct stw_bindings *bindings, struct stw_now now)
{
	struct stw_binding binding;
	size_t cursor = 0;

	while (stw_bindings_next(bindings, &cursor, &binding)) {
		int64_t left_ms = binding.expires_ms - now.wall_ms;

		if (left_ms > 0)
			write_contact(writer, &binding, left_ms);
	}
}
