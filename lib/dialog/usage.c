/* SPDX-License-Identifier: Apache-2.0 */
/* What a response ends: RFC 5057 §5.1, table 2, as the standards of the single methods have it. */
#include <strowger/dialog.h>

static const struct {
	uint16_t code;
	enum stw_dialog_effect effect;
} effects[] = {
	{ 404, STW_DIALOG_ENDS }, /* note 2: the remote target that the peer has given is wrong */
	{ 405, STW_DIALOG_USAGE_ENDS }, /* note 3 */
	{ 408, STW_DIALOG_USAGE_ENDS }, /* note 4, §5.2; RFC 3261 §12.2.1.2 */
	{ 410, STW_DIALOG_ENDS },
	{ 416, STW_DIALOG_ENDS },
	{ 480, STW_DIALOG_USAGE_ENDS }, /* note 7 */
	{ 481, STW_DIALOG_USAGE_ENDS }, /* note 8 */
	{ 482, STW_DIALOG_ENDS },       /* note 9: aberrant in a dialog */
	{ 483, STW_DIALOG_ENDS },       /* note 10 */
	{ 484, STW_DIALOG_ENDS },
	{ 485, STW_DIALOG_ENDS },
	{ 501, STW_DIALOG_USAGE_ENDS }, /* note 3 */
	{ 502, STW_DIALOG_ENDS },       /* note 14 */
	{ 604, STW_DIALOG_ENDS },
};

bool stw_method_is_integral(enum stw_method method)
{
	return method == STW_METHOD_INVITE || method == STW_METHOD_UPDATE ||
	       method == STW_METHOD_BYE || method == STW_METHOD_PRACK;
}

enum stw_dialog_effect stw_dialog_effect(unsigned code, bool integral)
{
	if ((code == 405 || code == 501) && !integral)
		return STW_DIALOG_STAYS;
	for (unsigned i = 0; i < STW_ARRAY_SIZE(effects); i++) {
		if (effects[i].code == code)
			return effects[i].effect;
	}
	return STW_DIALOG_STAYS;
}
