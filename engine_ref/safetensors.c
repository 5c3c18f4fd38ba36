/* SPDX-License-Identifier: MIT */
#include "engine_ref/safetensors.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"

/* A tensor of a model: where it belongs in the weights. Some of ours are several of theirs, one after another. */
struct place {
    char name[96];
    float *to;
    size_t rows, columns; /* columns 0: a vector */
};

enum { PLACES_A_LAYER = 11 };

static void add(struct place **at, uint32_t layer, const char *name, float *to, size_t rows, size_t columns)
{
    if (!to)
        return;
    snprintf((*at)->name, sizeof(*at)->name, "model.layers.%u.%s.weight", layer, name);
    (*at)->to = to;
    (*at)->rows = rows;
    (*at)++->columns = columns;
}

static void add_layer(struct place **at, const struct weights *w, uint32_t i)
{
    const struct model *m = &w->model;
    const struct layer_weights *l = &w->layers[i];
    size_t hidden = m->hidden, q = query_width(m), kv = kv_width(m), inner = m->intermediate;
    add(at, i, "input_layernorm", l->attention_norm, hidden, 0);
    add(at, i, "self_attn.q_proj", l->qkv, q, hidden);
    add(at, i, "self_attn.k_proj", l->qkv + q * hidden, kv, hidden);
    add(at, i, "self_attn.v_proj", l->qkv + (q + kv) * hidden, kv, hidden);
    add(at, i, "self_attn.q_norm", l->query_norm, m->head_dim, 0);
    add(at, i, "self_attn.k_norm", l->key_norm, m->head_dim, 0);
    add(at, i, "self_attn.o_proj", l->o, hidden, q);
    add(at, i, "post_attention_layernorm", l->mlp_norm, hidden, 0);
    if (m->gated_mlp)
        add(at, i, "mlp.gate_proj", l->gate_up, inner, hidden);
    add(at, i, "mlp.up_proj", l->gate_up + (m->gated_mlp ? inner * hidden : 0), inner, hidden);
    add(at, i, "mlp.down_proj", l->down, hidden, inner);
}

/* All of a model's, in a new array; *count of them. NULL when memory is short. */
static struct place *places_of(const struct weights *w, size_t *count)
{
    const struct model *m = &w->model;
    struct place *all = calloc((size_t)m->layers * PLACES_A_LAYER + 3, sizeof *all), *at = all;
    if (!all)
        return NULL;
    *at++ = (struct place){"model.embed_tokens.weight", w->embedding, m->vocab, m->hidden};
    for (uint32_t i = 0; i < m->layers; i++)
        add_layer(&at, w, i);
    *at++ = (struct place){"model.norm.weight", w->final_norm, m->hidden, 0};
    if (!m->tied_head)
        *at++ = (struct place){"lm_head.weight", w->head, m->vocab, m->hidden};
    *count = (size_t)(at - all);
    return all;
}

static size_t floats_of(const struct place *p)
{
    return p->rows * (p->columns ? p->columns : 1);
}

static float from_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023, bits;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 0x1p-24f; /* zero or subnormal */
        return sign ? -value : value;
    }
    bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | fraction << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float from_bfloat(uint16_t b)
{
    uint32_t bits = (uint32_t)b << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct file {
    const char *name;
    const unsigned char *bytes;
    size_t size, data; /* where tensors begin */
    struct json header;
};

static bool shape_fits(const cJSON *shape, const struct place *p)
{
    int wanted = p->columns ? 2 : 1;
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) != wanted)
        return false;
    return cJSON_GetArrayItem(shape, 0)->valuedouble == (double)p->rows &&
           (!p->columns || cJSON_GetArrayItem(shape, 1)->valuedouble == (double)p->columns);
}

static int read_tensor(const struct file *f, const struct place *p, struct error *err)
{
    struct json at = json_member(&f->header, p->name);
    const cJSON *shape = json_member(&at, "shape").node, *span = json_member(&at, "data_offsets").node;
    const char *type = "";
    if (!at.node)
        return error_set(err, ERROR_INPUT, "%s: tensor %s is missing", f->name, p->name);
    if (!shape_fits(shape, p))
        return error_set(err, ERROR_INPUT, "%s: tensor %s: expected shape [%zu%s%.0zu]", f->name, p->name, p->rows,
                         p->columns ? ", " : "", p->columns);
    if (json_read_string(&at, "dtype", true, &type, err))
        return -1;
    size_t width = strcmp(type, "F32") == 0 ? 4 : strcmp(type, "F16") == 0 || strcmp(type, "BF16") == 0 ? 2 : 0;
    if (width == 0)
        return error_set(err, ERROR_INPUT, "%s: tensor %s: found dtype %s, expected F32, F16 or BF16", f->name, p->name,
                         type);
    double from = span && cJSON_GetArraySize(span) == 2 ? cJSON_GetArrayItem(span, 0)->valuedouble : -1;
    double to = from >= 0 ? cJSON_GetArrayItem(span, 1)->valuedouble : -1;
    size_t count = floats_of(p);
    if (!(from >= 0 && to - from == (double)(count * width) && to <= (double)(f->size - f->data)))
        return error_set(err, ERROR_INPUT, "%s: tensor %s: data_offsets do not hold its %zu bytes within the file",
                         f->name, p->name, count * width);
    const unsigned char *in = f->bytes + f->data + (size_t)from;
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        if (width == 4) {
            memcpy(&p->to[i], in + 4 * i, 4);
            continue;
        }
        memcpy(&half, in + 2 * i, 2);
        p->to[i] = type[0] == 'F' ? from_half(half) : from_bfloat(half);
    }
    return 0;
}

static int read_header(struct file *f, struct error *err)
{
    uint64_t length = 0;
    if (f->size >= 8)
        memcpy(&length, f->bytes, 8);
    if (length < 2 || length > f->size - 8)
        return error_set(err, ERROR_INPUT, "%s: expected a safetensors file: found no header of the length it states",
                         f->name);
    char *text = malloc(length + 1);
    if (!text)
        return error_no_memory(err);
    memcpy(text, f->bytes + 8, length);
    text[length] = 0;
    f->data = 8 + (size_t)length;
    int status = json_parse(text, f->name, &f->header, err);
    free(text);
    return status;
}

static int read_all(struct weights *w, const struct file *f, struct error *err)
{
    size_t count = 0;
    struct place *places = places_of(w, &count);
    int status = places ? 0 : error_no_memory(err);
    for (size_t i = 0; status == 0 && i < count; i++)
        status = read_tensor(f, &places[i], err);
    free(places);
    return status;
}

int safetensors_load(struct weights *w, const char *name, struct error *err)
{
    struct file f = {.name = name};
    struct stat info;
    int fd = open(name, O_RDONLY);
    if (fd < 0 || fstat(fd, &info) != 0 || info.st_size <= 0) {
        if (fd >= 0)
            close(fd);
        return error_set(err, ERROR_INPUT, "%s: cannot be read, or is empty", name);
    }
    f.size = (size_t)info.st_size;
    void *map = mmap(NULL, f.size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (map == MAP_FAILED)
        return error_set(err, ERROR_IO, "%s: cannot be mapped", name);
    f.bytes = map;
    int status = read_header(&f, err) || read_all(w, &f, err) ? -1 : 0;
    cJSON_Delete((cJSON *)(uintptr_t)f.header.node);
    munmap(map, f.size);
    return status;
}

static cJSON *header_of(const struct place *places, size_t count)
{
    cJSON *header = cJSON_CreateObject();
    double at = 0;
    for (size_t i = 0; i < count; i++) {
        const struct place *p = &places[i];
        cJSON *tensor = cJSON_AddObjectToObject(header, p->name), *shape = cJSON_CreateArray(),
              *span = cJSON_CreateArray();
        cJSON_AddStringToObject(tensor, "dtype", "F32");
        cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)p->rows));
        if (p->columns)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)p->columns));
        cJSON_AddItemToObject(tensor, "shape", shape);
        cJSON_AddItemToArray(span, cJSON_CreateNumber(at));
        at += 4 * (double)floats_of(p);
        cJSON_AddItemToArray(span, cJSON_CreateNumber(at));
        cJSON_AddItemToObject(tensor, "data_offsets", span);
    }
    return header;
}

int safetensors_save(const struct weights *w, const char *name, struct error *err)
{
    size_t count = 0;
    struct place *places = places_of(w, &count);
    cJSON *header = places ? header_of(places, count) : NULL;
    char *text = header ? cJSON_PrintUnformatted(header) : NULL;
    FILE *out = text ? fopen(name, "wb") : NULL;
    uint64_t length = text ? strlen(text) : 0;
    bool good = out && fwrite(&length, 8, 1, out) == 1 && fwrite(text, length, 1, out) == 1;
    for (size_t i = 0; good && i < count; i++)
        good = fwrite(places[i].to, sizeof(float), floats_of(&places[i]), out) == floats_of(&places[i]);
    if (out && fclose(out) != 0)
        good = false;
    cJSON_free(text);
    cJSON_Delete(header);
    free(places);
    return good ? 0 : error_set(err, ERROR_IO, "%s: cannot be written", name);
}
