/* SPDX-License-Identifier: MIT */
#include "base/sha256.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 64 };

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* FIPS 180-4, section 4.2.2. */
static const uint32_t round_constants[64] = {0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
                                             0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
                                             0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
                                             0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
                                             0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
                                             0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
                                             0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
                                             0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
                                             0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
                                             0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
                                             0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static void schedule(const unsigned char block[BLOCK], uint32_t w[64])
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t near = w[i - 2], far = w[i - 15];
        w[i] = w[i - 16] + (rotate(far, 7) ^ rotate(far, 18) ^ far >> 3) + w[i - 7] +
               (rotate(near, 17) ^ rotate(near, 19) ^ near >> 10);
    }
}

/* Section 6.2.2; v holds a to h. */
static void digest_block(uint32_t hash[8], const unsigned char block[BLOCK])
{
    uint32_t w[64], v[8];
    schedule(block, w);
    memcpy(v, hash, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t e = v[4], a = v[0];
        uint32_t t1 = v[7] + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & v[5]) ^ (~e & v[6])) +
                      round_constants[i] + w[i];
        uint32_t t2 = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[0] = t1 + t2;
        v[4] += t1;
    }
    for (int i = 0; i < 8; i++)
        hash[i] += v[i];
}

/* The last bytes, a 1 bit, zeros, and the length in bits. */
static void digest_end(uint32_t hash[8], unsigned char block[BLOCK], uint64_t length)
{
    size_t used = length % BLOCK;
    block[used++] = 0x80;
    if (used > BLOCK - 8) {
        memset(block + used, 0, BLOCK - used);
        digest_block(hash, block);
        used = 0;
    }
    memset(block + used, 0, BLOCK - used);
    for (int i = 0; i < 8; i++)
        block[BLOCK - 1 - i] = (unsigned char)(length * 8 >> 8 * i);
    digest_block(hash, block);
}

/* `block` holds what `length` has beyond whole blocks. */
static void print_digest(uint32_t hash[8], unsigned char block[BLOCK], uint64_t length, char hex[65])
{
    digest_end(hash, block, length);
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", (unsigned)hash[i]);
}

static const uint32_t first_hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static int complain(const char *path, struct error *err)
{
    int reason = errno;
    return error_set(err, reason == EISDIR ? ERROR_INPUT : ERROR_IO, "%s: cannot be read: %s", path, strerror(reason));
}

int sha256_of_file(const char *path, char hex[65], struct error *err)
{
    uint32_t hash[8];
    unsigned char block[BLOCK];
    uint64_t length = 0;
    size_t got;
    int status = 0;
    FILE *file = fopen(path, "rb");
    if (!file && errno == ENOMEM)
        return error_no_memory(err);
    if (!file)
        return error_set(err, error_code_of_opening(errno), "%s: cannot be read: %s", path, strerror(errno));
    memcpy(hash, first_hash, sizeof hash);
    do {
        got = fread(block, 1, BLOCK, file);
        length += got;
        if (got == BLOCK)
            digest_block(hash, block);
        else if (!feof(file))
            status = complain(path, err);
    } while (got == BLOCK);
    fclose(file);
    if (status == 0)
        print_digest(hash, block, length, hex);
    return status;
}

void sha256_of_text(const char *text, char hex[65])
{
    uint32_t hash[8];
    unsigned char block[BLOCK];
    uint64_t length = strlen(text), at = 0;
    memcpy(hash, first_hash, sizeof hash);
    for (; length - at >= BLOCK; at += BLOCK) {
        memcpy(block, text + at, BLOCK);
        digest_block(hash, block);
    }
    memcpy(block, text + at, length - at);
    print_digest(hash, block, length, hex);
}
