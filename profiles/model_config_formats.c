/* SPDX-License-Identifier: MIT */
/* Number formats of a config.json: torch_dtype, quantization_config and hf_quant_config.json. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "profiles/model_config_parts.h"

static const char allowed[] =
    "a method that Tandem knows: fp8, fbgemm_fp8, awq, gptq, mxfp4, modelopt, compressed-tensors, "
    "quark or bitsandbytes";

static void lower(const struct json *at, char *out, size_t size)
{
    snprintf(out, size, "%s", cJSON_IsString(at->node) ? at->node->valuestring : "");
    for (char *c = out; *c; c++)
        *c = (char)tolower((unsigned char)*c);
}

static double number(const struct json *object, const char *key)
{
    const cJSON *node = json_member(object, key).node;
    return cJSON_IsNumber(node) ? node->valuedouble : 0;
}

static enum dtype of_bits(double bits, bool floating)
{
    return bits <= 4 ? (floating ? DTYPE_FP4 : DTYPE_INT4) : floating ? DTYPE_FP8 : DTYPE_INT8;
}

/* Lists of modules that keep 16 bits. Attention in one of them means that experts or MLPs alone are narrow. */
static bool keeps_attention(const struct json *object)
{
    static const char *const lists[] = {"ignore",  "ignored_layers",         "exclude_modules",
                                        "exclude", "modules_to_not_convert", "exclude_layers",
                                        NULL};
    for (int i = 0; lists[i]; i++)
        for (const cJSON *item = json_member(object, lists[i]).node; item; item = NULL)
            for (const cJSON *module = item->child; module; module = module->next)
                if (cJSON_IsString(module) &&
                    (strstr(module->valuestring, "self_attn") || strstr(module->valuestring, "attention")))
                    return true;
    return false;
}

/* Bytes of a weight with its share of a group's scale, and of a zero point as wide as a weight where there is one. */
static double with_scales(enum dtype dtype, double group, double scale_bits, bool zero)
{
    double bits = dtype == DTYPE_INT4 || dtype == DTYPE_FP4 ? 4 : 8;
    return group >= 1 ? (bits + (scale_bits + (zero ? bits : 0)) / group) / 8 : bits / 8;
}

/* The first of compressed-tensors' groups that quantises weights; also what it does with KV. */
static int read_groups(const struct json *at, enum dtype *out, double *bytes, struct error *err)
{
    struct json groups = json_member(at, "config_groups");
    for (const cJSON *g = groups.node ? groups.node->child : NULL; g; g = g->next) {
        struct json group = json_member(&groups, g->string), weights = json_member(&group, "weights");
        double bits = number(&weights, "num_bits");
        char type[20];
        struct json kind = json_member(&weights, "type");
        lower(&kind, type, sizeof type);
        if (bits >= 1) {
            bool small = bits <= 4 && strcmp(type, "float") == 0; /* scales in 8 bits: NVFP4, MXFP4 */
            *out = of_bits(bits, strcmp(type, "float") == 0);
            *bytes = with_scales(*out, number(&weights, "group_size"), small ? 8 : 16,
                                 cJSON_IsFalse(json_member(&weights, "symmetric").node));
            return 0;
        }
    }
    return json_complain(&groups, "a group whose weights have num_bits", err);
}

/* modelopt: "FP8", "NVFP4", "W4A16_AWQ", "W4A8_AWQ", "INT8_SQ", "MIXED_PRECISION". `group`: of four bits, where the
 * file does not say. */
static int read_algorithm(const struct json *at, double group, enum dtype *out, double *bytes, struct error *err)
{
    char name[40];
    lower(at, name, sizeof name);
    bool nv = strstr(name, "nvfp4") || strstr(name, "mixed");
    if (nv || strstr(name, "fp4"))
        *out = DTYPE_FP4;
    else if (strstr(name, "int4") || strstr(name, "w4a"))
        *out = DTYPE_INT4;
    else if (strstr(name, "fp8"))
        *out = DTYPE_FP8;
    else if (strstr(name, "int8") || strstr(name, "w8a"))
        *out = DTYPE_INT8;
    else
        return json_complain(at, "a quant_algo with fp8, fp4, int8, int4, w4a or w8a in its name", err);
    *bytes = *out == DTYPE_FP4    ? with_scales(*out, nv ? 16 : 32, 8, false)
             : *out == DTYPE_INT4 ? with_scales(*out, group >= 1 ? group : 128, 16, false)
                                  : 1;
    return 0;
}

static int read_method(const struct json *at, enum dtype *out, double *bytes, struct error *err)
{
    struct json method = json_member(at, "quant_method"), algorithm = json_member(at, "quant_algo");
    struct json global = json_member(at, "global_quant_config"), weight = json_member(&global, "weight");
    struct json quark = json_member(&weight, "dtype");
    char name[40];
    lower(&method, name, sizeof name);
    if (strcmp(name, "compressed-tensors") == 0 && json_member(at, "config_groups").node)
        return read_groups(at, out, bytes, err);
    double group = number(at, "group_size");
    if (cJSON_IsString(algorithm.node))
        return read_algorithm(&algorithm, group, out, bytes, err);
    if (strcmp(name, "quark") == 0)
        return read_algorithm(&quark, group, out, bytes, err);
    double bits = number(at, "bits") > 0 ? number(at, "bits") : 4;
    bool twice = cJSON_IsTrue(json_member(at, "bnb_4bit_use_double_quant").node);
    if (strstr(name, "fp4")) {
        *out = DTYPE_FP4;
        *bytes = with_scales(*out, 32, 8, false);
    } else if (strstr(name, "fp8")) {
        *out = DTYPE_FP8;
    } else if (strstr(name, "awq") || strstr(name, "gptq") || strcmp(name, "auto-round") == 0) {
        *out = of_bits(bits, false);
        *bytes = with_scales(*out, group, 16, true); /* their kernels' files have packed zero points, used or not */
    } else if (strcmp(name, "bitsandbytes") == 0) {
        *out = cJSON_IsTrue(json_member(at, "load_in_8bit").node) ? DTYPE_INT8 : DTYPE_INT4;
        *bytes = *out == DTYPE_INT8 ? 1 : with_scales(*out, 64, twice ? 8.125 : 32, false);
    } else {
        return json_complain(method.node ? &method : at, allowed, err);
    }
    return 0;
}

static void set_kv(struct model_config *c, const struct json *at)
{
    struct json algorithm = json_member(at, "kv_cache_quant_algo"), scheme = json_member(at, "kv_cache_scheme");
    char name[40];
    lower(&algorithm, name, sizeof name);
    if (strstr(name, "fp8") || number(&scheme, "num_bits") == 8)
        c->out->bytes_per_kv = 1;
}

static int quantise(struct model_config *c, const struct json *at, struct error *err)
{
    struct model *m = c->out;
    enum dtype dtype = m->dtype;
    double bytes = 1;
    if (read_method(at, &dtype, &bytes, err))
        return -1;
    set_kv(c, at);
    m->moe.dtype = dtype;
    m->moe.bytes_per_weight = bytes;
    if (m->moe.experts && keeps_attention(at))
        return 0;
    if (keeps_attention(at))
        config_leave_out(c, "that attention keeps 16 bits: it is taken as %s", dtype_names[dtype]);
    m->dtype = dtype;
    m->bytes_per_weight = bytes;
    return 0;
}

int config_read_formats(struct model_config *c, const struct json *document, const struct json *quantised,
                        struct error *err)
{
    struct model *m = c->out;
    struct json stored = config_find(c, "torch_dtype dtype"), at = json_member(document, "quantization_config");
    struct json other = json_member(quantised, "quantization");
    char name[20];
    if (!stored.node)
        stored = json_member(document, json_member(document, "torch_dtype").node ? "torch_dtype" : "dtype");
    lower(&stored, name, sizeof name);
    m->dtype = m->moe.dtype = strcmp(name, "float16") == 0 ? DTYPE_FP16 : DTYPE_BF16;
    m->bytes_per_weight = m->moe.bytes_per_weight = 2;
    if (!cJSON_IsObject(at.node))
        at = config_find(c, "quantization_config compression_config");
    if (cJSON_IsObject(other.node) && cJSON_IsString(json_member(&other, "quant_algo").node))
        at = other;
    else if (cJSON_IsObject(other.node))
        set_kv(c, &other);
    return cJSON_IsObject(at.node) ? quantise(c, &at, err) : 0;
}
