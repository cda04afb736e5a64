/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes in hex for Digest, RFC 7616. */
#ifndef BENCH_DIGEST_H
#define BENCH_DIGEST_H

#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>

static void digest(const EVP_MD *md, char *out, const char *fmt, ...)
{
	static EVP_MD_CTX *ctx;
	char in[1024];
	unsigned char h[32];
	unsigned n;
	va_list ap;
	if (!ctx)
		ctx = EVP_MD_CTX_new();
	va_start(ap, fmt);
	int len = vsnprintf(in, sizeof in, fmt, ap);
	va_end(ap);
	EVP_DigestInit_ex2(ctx, md, NULL);
	EVP_DigestUpdate(ctx, in, (size_t)len);
	EVP_DigestFinal_ex(ctx, h, &n);
	for (unsigned i = 0; i < n; i++) {
		out[2 * i] = "0123456789abcdef"[h[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[h[i] & 15];
	}
	out[2 * n] = 0;
}

#endif
