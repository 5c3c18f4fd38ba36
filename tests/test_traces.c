/* SPDX-License-Identifier: MIT */
/* Traces that are not what they seem, and the text files they are made of: read right, or named. */
#include <unistd.h>
#include <zlib.h>

#include "base/csv.h"
#include "base/date_time.h"
#include "base/lines.h"
#include "tests/harness.h"
#include "workloads/trace.h"

#define FILE_NAME "build/test_traces_file"
#define AZURE "TIMESTAMP,ContextTokens,GeneratedTokens\n"

static void write_bytes(const char *bytes, size_t size)
{
    FILE *out = fopen(FILE_NAME, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    fclose(out);
}

static void write_text(const char *text)
{
    write_bytes(text, strlen(text));
}

static void expect_sentence(const struct error *err, const char *sentence)
{
    assert_int_equal(err->code, ERROR_INPUT);
    if (!strstr(err->text, sentence))
        fail_msg("expected \"%s\" in \"%s\"", sentence, err->text);
}

/* Reads the file to its end; the number of requests, or -1. */
static int read_trace(const struct trace_options *options, struct arrival *out, struct trace_reading *reading,
                      struct error *err)
{
    struct request_source source = {0};
    struct arrival a;
    int count = 0, got;
    if (trace_open(FILE_NAME, options, &source, err))
        return -1;
    while ((got = source.next(source.state, &a, err)) == 1) {
        if (out && count < 8)
            out[count] = a;
        count++;
    }
    if (reading)
        *reading = trace_reading(&source);
    request_source_destroy(&source);
    return got < 0 ? -1 : count;
}

static void expect_refused(const char *text, const struct trace_options *options, const char *sentence)
{
    struct error err = {0};
    write_text(text);
    if (read_trace(options, NULL, NULL, &err) != -1)
        fail_msg("accepted: %.200s", text);
    expect_sentence(&err, sentence);
}

/* A mooncake line of so many tokens and hash ids. */
static void put_line(FILE *out, int number, unsigned tokens, unsigned ids)
{
    fprintf(out, "{\"timestamp\": %d, \"input_length\": %u, \"output_length\": 1, \"hash_ids\": [", number, tokens);
    for (unsigned i = 0; i < ids; i++)
        fprintf(out, "%s%u", i ? ", " : "", i);
    fprintf(out, "]}\n");
}

static void write_mooncake(const unsigned (*lines)[2], int count)
{
    FILE *out = fopen(FILE_NAME, "w");
    assert_non_null(out);
    for (int i = 0; i < count; i++)
        put_line(out, i, lines[i][0], lines[i][1]);
    fclose(out);
}

static void expect_blocks(const unsigned (*lines)[2], int count, uint32_t tokens, enum block_evidence evidence)
{
    struct error err = {0};
    struct trace_reading reading;
    struct arrival a[8];
    write_mooncake(lines, count);
    int got = read_trace(NULL, a, &reading, &err);
    if (got != count)
        fail_msg("%s", err.text);
    assert_int_equal(reading.block_tokens, tokens);
    assert_int_equal(reading.blocks, evidence);
    for (int i = 0; i < count; i++)
        assert_int_equal(a[i].hash_count ? a[i].hash_tokens : tokens, tokens);
}

/* ceil(6758 / 512) = 14, which sizes from 6758/14 = 482.7 to 6757/13 = 519 give, too. 100 ids for 6 400 tokens are
 * blocks of 64: 6400/100, and 6399/99 = 64.6. Ids of whole blocks only: floor(521 / 16) = 32 and floor(47 / 16) = 2,
 * of sizes that 521/33 = 15.8 and 521/32 = 16.3 bound. Without ids a line says nothing. */
static void test_block_size_is_what_every_line_fits(void **state)
{
    (void)state;
    expect_blocks((const unsigned[][2]){{6758, 14}, {100, 1}}, 2, 512, BLOCKS_ASSUMED);
    expect_blocks((const unsigned[][2]){{5121, 11}, {5120, 10}, {52224, 102}, {1024, 2}}, 4, 512, BLOCKS_SHOWN);
    expect_blocks((const unsigned[][2]){{6400, 100}, {6400, 100}}, 2, 64, BLOCKS_SHOWN);
    expect_blocks((const unsigned[][2]){{10, 0}, {521, 32}, {47, 2}, {15, 0}}, 4, 16, BLOCKS_SHOWN);
}

static void expect_blocks_refused(const unsigned (*lines)[2], int count, const struct trace_options *options,
                                  const char *sentence)
{
    struct error err = {0};
    write_mooncake(lines, count);
    assert_int_equal(read_trace(options, NULL, NULL, &err), -1);
    expect_sentence(&err, sentence);
}

/* 20 tokens in 2 blocks: of 10 to 19 tokens, or of 7 to 10 where a rest has no id. After 64 is shown by the first
 * line, 6 400 tokens have 100 ids. */
static void test_ids_that_no_one_block_size_gives_are_named(void **state)
{
    (void)state;
    const struct trace_options of_16 = {.block_tokens = 16}, of_8 = {.block_tokens = 8};
    const unsigned twice[][2] = {{20, 2}, {20, 2}};
    struct error err = {0};
    expect_blocks_refused(twice, 2, NULL,
                          ":1: 2 hash_ids for a prompt of 20 tokens, expected 1 of a mooncake trace's blocks of 512 "
                          "tokens; blocks of 7 to 19 tokens fit: state which by workload.block_tokens");
    expect_blocks_refused((const unsigned[][2]){{6400, 100}, {6400, 90}}, 2, NULL,
                          ":2: 90 hash_ids for a prompt of 6400 tokens fit no block size: the lines above have blocks "
                          "of 64 tokens");
    expect_blocks_refused((const unsigned[][2]){{20, 30}}, 1, NULL,
                          ":1: 30 hash_ids for a prompt of 20 tokens fit no block size");
    expect_blocks_refused((const unsigned[][2]){{33, 2}, {20, 3}}, 2, &of_16,
                          ":2: 3 hash_ids for a prompt of 20 tokens, expected 2 of blocks of 16 tokens, the size that "
                          "is stated");
    write_mooncake(twice, 2);
    assert_int_equal(read_trace(&of_16, NULL, NULL, &err), 2);
    assert_int_equal(read_trace(&of_8, NULL, NULL, &err), 2);
}

/* A block size of 500 shows late: 100 tokens have one id, and 1 500 have 3, as with 512; 2 000 have 4, and 2 500 5. */
static void test_a_block_size_that_shows_late_is_named(void **state)
{
    (void)state;
    const struct trace_options of_500 = {.block_tokens = 500};
    struct error err = {0};
    FILE *out = fopen(FILE_NAME, "w");
    for (int i = 0; i < 5000; i++)
        put_line(out, i, i % 2 ? 100 : 1500, i % 2 ? 1 : 3);
    put_line(out, 5000, 15001, 31);
    fclose(out);
    assert_int_equal(read_trace(NULL, NULL, NULL, &err), -1);
    expect_sentence(&err, ":5001: 31 hash_ids for a prompt of 15001 tokens, expected 30 of blocks of 512 tokens, a "
                          "mooncake trace's; state another by workload.block_tokens or trace --block-tokens");
    assert_int_equal(read_trace(&of_500, NULL, NULL, &err), 5001);
}

static void test_requests_read_ahead_come_in_order_with_their_ids(void **state)
{
    (void)state;
    struct request_source source;
    struct error err = {0};
    struct arrival a;
    FILE *out = fopen(FILE_NAME, "w");
    for (int i = 0; i < 10000; i++) /* prompts of 1 to 500 tokens never tell 512 from larger sizes */
        fprintf(out, "{\"timestamp\": %d, \"input_length\": %d, \"output_length\": 1, \"hash_ids\": [%d]}\n", i,
                i % 500 + 1, i);
    fclose(out);
    expect_ok(trace_open(FILE_NAME, NULL, &source, &err), &err);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(source.next(source.state, &a, &err), 1);
        assert_int_equal(a.at, i * 1000000ll);
        assert_int_equal(a.prompt_tokens, i % 500 + 1);
        assert_int_equal(a.hash_count, 1);
        assert_int_equal(a.hashes[0], i);
        assert_int_equal(a.hash_tokens, 512);
    }
    assert_int_equal(source.next(source.state, &a, &err), 0);
    request_source_destroy(&source);
}

#define MOONCAKE(time) "{\"timestamp\": " time ", \"input_length\": 5, \"output_length\": 5}\n"
#define STAMPS(time) "{\"arrival_time\": " time ", \"input_toks\": 5, \"output_toks\": 5}\n"

/* 61.114 s and 62.5 s are 1.386 s apart; 1 700 000 000 s is 2023-11-14 22:13:20 UTC. */
static void test_time_units_that_cannot_be_are_named_and_stated(void **state)
{
    (void)state;
    static const struct trace_options in_s = {.time_unit = "s"}, in_ms = {.time_unit = "ms"},
                                      in_us = {.time_unit = "us"}, in_ns = {.time_unit = "ns"},
                                      in_h = {.time_unit = "h"};
    struct arrival a[8];
    struct error err = {0};
    expect_refused(MOONCAKE("61.114") MOONCAKE("62.5"), NULL,
                   ":1:1: expected \"timestamp\" in whole milliseconds, or its unit stated");
    expect_refused(MOONCAKE("61") MOONCAKE("62.5"), NULL, ":2:1: expected \"timestamp\" in whole milliseconds");
    write_text(MOONCAKE("61.114") MOONCAKE("62.5"));
    assert_int_equal(read_trace(&in_s, a, NULL, &err), 2);
    assert_int_equal(a[1].at, 1386000000);
    assert_int_equal(read_trace(&in_ms, a, NULL, &err), 2);
    assert_int_equal(a[1].at, 1386000);
    expect_refused(MOONCAKE("1700000000"), NULL,
                   ":1: \"timestamp\" 1700000000 is 2023-11-14 in seconds, but 19.7 days in milliseconds");
    expect_refused(MOONCAKE("1700000000000000"), NULL, "is 2023-11-14 in microseconds");
    expect_refused(STAMPS("1700000000000"), NULL, "is 2023-11-14 in milliseconds");
    write_text(MOONCAKE("1700000000000") MOONCAKE("1700000000250"));
    assert_int_equal(read_trace(NULL, a, NULL, &err), 2);
    assert_int_equal(a[1].at, 250000000);
    write_text(STAMPS("1700000000000000") STAMPS("1700000000000250"));
    assert_int_equal(read_trace(&in_us, a, NULL, &err), 2);
    assert_int_equal(a[1].at, 250000);
    write_text(STAMPS("5") STAMPS("1700000000"));
    assert_int_equal(read_trace(&in_ns, a, NULL, &err), 2);
    assert_int_equal(a[1].at, 1699999995);
    expect_refused(STAMPS("1"), &in_h, "unknown time unit \"h\"; allowed: s, ms, us, ns");
    expect_refused(AZURE "2023-11-16 18:15:46,1,2\n", &in_s, "time_unit: expected only where neither keys nor stamps");
    expect_refused("{\"arrival_s\": 1700000000000, \"prompt_tokens\": 1, \"output_tokens\": 2}\n", NULL,
                   ":1:1: expected \"arrival_s\" in seconds, from 0 to 9e+09, in a trace of format tandem, found "
                   "\"1700000000000\"");
}

static void expect_ns(const char *text, int64_t ns)
{
    struct date_time stamp;
    const char *wrong = date_time_read(text, &stamp);
    if (wrong)
        fail_msg("%s: %s", text, wrong);
    assert_int_equal(stamp.ns, ns);
}

static void expect_no_date(const char *text, const char *expected)
{
    struct date_time stamp;
    const char *wrong = date_time_read(text, &stamp);
    if (!wrong || !strstr(wrong, expected))
        fail_msg("%s: expected \"%s\", found \"%s\"", text, expected, wrong ? wrong : "a date");
}

/* 2023-11-16 is day 19 677 of 1970: 1 700 092 800 s. */
static void test_dates_as_iso_8601_writes_them(void **state)
{
    (void)state;
    const int64_t day = 1700092800000000000, hour = 3600000000000;
    expect_ns("2023-11-16 00:00:00", day);
    expect_ns("2023-11-16T18:15:46.6805900Z", day + 18 * hour + 946680590000);
    expect_ns("2023-11-16 02:00:00+02:00", day);
    expect_ns("2023-11-16 02:00:00+0200", day);
    expect_ns("2023-11-15 18:30:00-05:30", day);
    expect_ns("2023-11-16T00:00:00.123456789999+00", day + 123456789);
    expect_ns("2024-02-29 00:00:00", 1709164800000000000);
    expect_ns("2016-12-31 23:59:60", 1483228800000000000);
    expect_no_date("2023-02-29 00:00:00", "a date that there is");
    expect_no_date("2100-02-29 00:00:00", "a date that there is");
    expect_no_date("2023-04-31 00:00:00", "a date that there is");
    expect_no_date("2023-13-01 00:00:00", "a date that there is");
    expect_no_date("2023-11-16 25:00:00", "a time of day");
    expect_no_date("2023-11-16 12:60:00", "a time of day");
    expect_no_date("2023-11-16 12:30:60", "a second up to 59");
    expect_no_date("2023-11-16 12:30:00+24:00", "an offset from UTC");
    expect_no_date("2023-11-16 12:30:00+02:00:00", "an offset from UTC");
    expect_no_date("2023-11-16 12:30:00 ", "the time's end");
    expect_no_date("2023-11-16 12:30:00.", "a time stamp like");
    expect_no_date("2023-11-16", "a time stamp like");
    expect_no_date("", "a time stamp like");
}

/* Columns are found by name; a byte-order mark, CR LF, quotes, other columns and a last line without an end change
 * nothing. 02:00:01 at +02:00 is a second after midnight UTC. */
static void test_azure_csv_as_programs_write_it(void **state)
{
    (void)state;
    struct arrival a[8];
    struct error err = {0};
    write_text("\xef\xbb\xbf\"note\",GeneratedTokens,TIMESTAMP,ContextTokens\r\n"
               "\"a, \"\"b\"\"\r\nc\",10,2024-05-10T00:00:00Z,100\r\n"
               "\r\n"
               ",\"20\",2024-05-10 02:00:01+02:00,200");
    assert_int_equal(read_trace(NULL, a, NULL, &err), 2);
    assert_int_equal(a[0].prompt_tokens, 100);
    assert_int_equal(a[0].output_tokens, 10);
    assert_int_equal(a[1].at, 1000000000);
    assert_int_equal(a[1].prompt_tokens, 200);
    assert_int_equal(a[1].output_tokens, 20);
    expect_refused(AZURE "\"2023-11-16\n18:15:46\",12,1\n", NULL, ":2:1: expected a time stamp like");
    expect_refused(AZURE "2023-11-16 18:15:46,12,1\n\n2023-11-31 18:15:46,12,1\n", NULL,
                   ":4:1: expected a date that there is");
    expect_refused(AZURE "2023-11-16 18:15:46,12,1\n2023-11-16 20:15:46+02:00,12,1\n", NULL,
                   ":3:1: expected a zone on every line");
    expect_refused("ContextTokens,GeneratedTokens\n12,1\n", NULL, "not a trace format known here");
    expect_refused("TIMESTAMP,Tokens\n2023-11-16 18:15:46,12\n", NULL, "not a trace format known here");
    expect_refused("{\"TIMESTAMP\": 1, \"ContextTokens\": 2}\n", NULL, "not a trace format known here");
    expect_refused("TIMESTAMP,ContextTokens\n2023-11-16 18:15:46,12\n", NULL, ":1: has no column \"GeneratedTokens\"");
    expect_refused("TIMESTAMP,ContextTokens,GeneratedTokens,ContextTokens\n", NULL,
                   ":1: has two columns \"ContextTokens\", fields 2 and 4");
    expect_refused(AZURE "2023-11-16 18:15:46,12\n", NULL, ":2: has 2 fields, expected the header's 3");
    expect_refused(AZURE "2023-11-16 18:15:46,\"1,200\",1\n", NULL, ":2:21: expected ContextTokens, a whole number");
    expect_refused(AZURE "2023-11-16 18:15:46,-12,1\n", NULL, ":2:21: expected ContextTokens, a whole number");
    expect_refused(AZURE "2023-11-16 18:15:46,12,1e3\n", NULL, ":2:24: expected GeneratedTokens, a whole number");
    expect_refused(AZURE "2023-11-16 18:15:46,12,100000001\n", NULL, "up to 100000000, in a trace of format azure");
    expect_refused(AZURE "2023-11-16 18:15:46,12,1\n" AZURE, NULL, ":3:1: expected a time stamp like");
}

static void test_a_trace_without_requests_is_named(void **state)
{
    (void)state;
    static const struct trace_options mooncake = {.format = "mooncake"};
    expect_refused("", NULL, "is empty, expected a trace");
    expect_refused("\xef\xbb\xbf\n \r\n", NULL, "is empty, expected a trace");
    expect_refused("", &mooncake, "is empty, expected a trace");
    expect_refused(AZURE, NULL, "has a header and no requests");
    expect_refused("TIMESTAMP,ContextTokens,GeneratedTokens", NULL, "has a header and no requests");
}

#define TANDEM(more) "{\"arrival_s\": 1, \"prompt_tokens\": 4, \"output_tokens\": 1" more "}\n"

/* Whole numbers with blanks or without are read from the text, all other lists by the JSON parser. */
static void test_hash_lists_mean_the_same_however_they_are_written(void **state)
{
    (void)state;
    static const char *const members[] = {
        ", \"hash_ids\": [7, 0, 999999999999999], \"hash_tokens\": 2",
        ", \"hash_tokens\": 2, \"hash_ids\" : [ 7,0 ,  999999999999999 ]",
        ", \"hash_tokens\": 2, \"hash_ids\":[7,\t0,999999999999999]",
        ", \"hash_ids\": [7e0, 0.0, 999999999999999], \"hash_tokens\": 2",
        ", \"o\": {\"hash_ids\": [1]}, \"hash_ids\": [7, 0, 999999999999999], \"hash_tokens\": 2",
        ", \"o\": [{\"hash_ids\": [1]}], \"hash_ids\": [7, 0, 999999999999999], \"hash_tokens\": 2",
        ", \"o\": \"hash_ids\", \"hash_ids\": [7, 0, 999999999999999], \"hash_tokens\": 2",
        ", \"o\": \"\\\", \\\"hash_ids\\\": [1\", \"hash_ids\": [7, 0, 999999999999999], \"hash_tokens\": 2",
        ", \"hash_ids\": [7, 0, 999999999999999], \"o\": {\"hash_ids\": [1]}, \"hash_tokens\": 2",
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct request_source source = {0};
        struct arrival a;
        struct error err = {0};
        char text[200];
        snprintf(text, sizeof text, TANDEM("%s"), members[i]);
        write_text(text);
        expect_ok(trace_open(FILE_NAME, NULL, &source, &err), &err);
        assert_int_equal(source.next(source.state, &a, &err), 1);
        assert_int_equal(a.hash_count, 3);
        assert_int_equal(a.hash_tokens, 2);
        assert_memory_equal(a.hashes, ((uint64_t[]){7, 0, 999999999999999}), 3 * sizeof *a.hashes);
        request_source_destroy(&source);
    }
    expect_refused(TANDEM(", \"hash_ids\": [1, 2,], \"hash_tokens\": 2"), NULL, ":1:76: expected a JSON object");
    expect_refused(TANDEM(", \"hash_ids\": [1 2], \"hash_tokens\": 2"), NULL, ":1:73: expected a JSON object");
    expect_refused(TANDEM(", \"hash_ids\": [1, 2], \"hash_tokens\": 2, !"), NULL, ":1:97: expected a JSON object");
    expect_refused(
        TANDEM(", \"hash_ids\": [1, -2], \"hash_tokens\": 2"), NULL,
        "expected \"hash_ids\", if any, as a list of whole numbers from 0 to 9007199254740992, in a trace of "
        "format tandem, found \"-2\"");
    expect_refused(TANDEM(", \"hash_ids\": [9007199254740994], \"hash_tokens\": 2"), NULL,
                   "found \"9007199254740994\"");
}

static void test_rows_that_leave_open_what_they_mean_are_named(void **state)
{
    (void)state;
    static const char junk[] = AZURE "2023-11-16 18:15:46,12,1\n\0\x01\xfe\n";
    struct arrival a[8];
    struct error err = {0};
    expect_refused(TANDEM(", \"prompt_tokens\": 5"), NULL, ":1: has the key \"prompt_tokens\" twice");
    expect_refused(TANDEM("") TANDEM(", \"hash_ids\": [1], \"hash_ids\": [2], \"hash_tokens\": 2"), NULL,
                   ":2: has the key \"hash_ids\" twice");
    expect_refused(TANDEM(", \"hash_ids\": [1]"), NULL, "expected \"hash_tokens\", a whole number from 1");
    expect_refused(TANDEM(", \"timestamp\": 5, \"input_length\": 4"), NULL,
                   ":1: has the keys of a mooncake and of a tandem trace; state its format");
    expect_refused(TANDEM("") MOONCAKE("5"), NULL, ":2:1: expected \"arrival_s\" in seconds");
    expect_refused(TANDEM("") "{\"arrival_s\": NaN, \"prompt_tokens\": 4, \"output_tokens\": 1}\n", NULL,
                   ":2:15: expected a JSON object");
    expect_refused(TANDEM("") "{\"arrival_s\": 2, \"prompt_tokens\": -4, \"output_tokens\": 1}\n", NULL,
                   ":2:1: expected \"prompt_tokens\", a whole number from 0 to 100000000, in a trace of format tandem, "
                   "found \"-4\"");
    expect_refused(TANDEM("") "{\"arrival_s\": 2, \"prompt_tokens\": \"4\", \"output_tokens\": 1}\n", NULL,
                   "expected \"prompt_tokens\", a whole number");
    expect_refused(TANDEM("") "{\"arrival_s\": 0.5, \"prompt_tokens\": 4, \"output_tokens\": 1}\n", NULL,
                   ":2: arrives 0.500000 s before the line above");
    write_text("{\"arrival_s\": 1e0, \"prompt_tokens\": 4e1, \"output_tokens\": 10E-1}\n" TANDEM(""));
    assert_int_equal(read_trace(NULL, a, NULL, &err), 2);
    assert_int_equal(a[0].prompt_tokens, 40);
    write_bytes(junk, sizeof junk - 1);
    assert_int_equal(read_trace(NULL, NULL, NULL, &err), -1);
    expect_sentence(&err, ":3: expected text, found a NUL byte");
    expect_refused(AZURE "2023-11-16 18:15:46,12,1\n\x01\xfe\n", NULL, ":3: has 1 fields, expected the header's 3");
    expect_refused(TANDEM("") "\x01\xfe\n", NULL,
                   ":2:2: expected a JSON object in a trace of format tandem, found \"??\"");
}

/* Packs text as gzip into out; returns the bytes. */
static size_t pack(const char *text, char *out, size_t size)
{
    gzFile zip = gzopen(FILE_NAME ".gz", "wb");
    assert_int_equal(gzputs(zip, text), (int)strlen(text));
    gzclose(zip);
    FILE *in = fopen(FILE_NAME ".gz", "rb");
    size_t packed = fread(out, 1, size, in);
    fclose(in);
    return packed;
}

static void expect_gzip_refused(const char *bytes, size_t size, const char *sentence)
{
    struct error err = {0};
    write_bytes(bytes, size);
    assert_int_equal(read_trace(NULL, NULL, NULL, &err), -1);
    expect_sentence(&err, sentence);
}

/* Two members are one text. What is cut off, wherever, is not taken for a shorter trace. */
static void test_gzip_is_read_whole_or_named(void **state)
{
    (void)state;
    char packed[2000];
    struct error err = {0};
    struct arrival a[8];
    size_t size = pack(AZURE "2023-11-16 18:15:46,12,1\n2023-11-16 18:15:47,12,185", packed, 1000);
    write_bytes(packed, size);
    assert_int_equal(read_trace(NULL, a, NULL, &err), 2);
    for (size_t cut = 3; cut < size; cut++)
        expect_gzip_refused(packed, cut, "the gzip file ends here, in the middle of its data");
    packed[size] = 'x';
    expect_gzip_refused(packed, size + 1, "found bytes that are not gzip after it");
    packed[size - 8] ^= 1; /* of the checksum */
    expect_gzip_refused(packed, size, "the gzip file is damaged here");
    packed[size - 8] ^= 1;
    size += pack("7\n2023-11-16 18:15:48,13,2\n", packed + size, sizeof packed - size);
    write_bytes(packed, size);
    assert_int_equal(read_trace(NULL, a, NULL, &err), 3);
    assert_int_equal(a[1].output_tokens, 1857);
    assert_int_equal(a[2].prompt_tokens, 13);
}

/* Lines as long as allowed come whole, over the ends of what is read at once; one byte more is named. */
static void test_lines_up_to_the_longest(void **state)
{
    (void)state;
    struct error err = {0};
    struct line line;
    char *text = malloc(3 * LINES_LONGEST);
    assert_non_null(text);
    memset(text, 'a', 3 * LINES_LONGEST);
    text[LINES_LONGEST] = text[2 * LINES_LONGEST + 2] = '\n';
    write_bytes(text, 2 * LINES_LONGEST + 3);
    free(text);
    struct lines *lines = lines_open(FILE_NAME, &err);
    assert_non_null(lines);
    assert_int_equal(lines_next(lines, &line, &err), 1);
    assert_int_equal(line.length, LINES_LONGEST);
    assert_int_equal(strspn(line.text, "a"), LINES_LONGEST);
    assert_int_equal(lines_next(lines, &line, &err), -1);
    expect_sentence(&err, ":2: line is longer than 1048576 bytes");
    lines_close(lines);
}

struct row {
    char name[24];
    double value;
};

static const struct csv_column columns[] = {
    {"name", offsetof(struct row, name), 24, CSV_OPTIONAL},
    {"value", offsetof(struct row, value), 0, CSV_REQUIRED},
};

static int read_csv(const char *text, struct row *out, struct error *err)
{
    void *items = NULL;
    size_t count = 0;
    write_text(text);
    if (csv_read(FILE_NAME, columns, 2, sizeof *out, &items, &count, err))
        return -1;
    memcpy(out, items, count * sizeof *out);
    free(items);
    return (int)count;
}

static void expect_csv_refused(const char *text, const char *sentence)
{
    struct row rows[4];
    struct error err = {0};
    assert_int_equal(read_csv(text, rows, &err), -1);
    expect_sentence(&err, sentence);
}

static void test_csv_as_rfc_4180_says(void **state)
{
    (void)state;
    struct row rows[4];
    struct error err = {0};
    assert_int_equal(read_csv("\xef\xbb\xbf"
                              "value,\"name\"\r\n1,\"a, b\"\r\n 2.5e0 ,\"c \"\"d\"\"\r\ne\"\r\n\r\n3,",
                              rows, &err),
                     3);
    assert_string_equal(rows[0].name, "a, b");
    assert_string_equal(rows[1].name, "c \"d\"\r\ne");
    assert_true(rows[0].value == 1 && rows[1].value == 2.5 && rows[2].value == 3);
    assert_string_equal(rows[2].name, "");
    expect_csv_refused("name,value\na,b,3\n", ":2: has 3 fields, expected the header's 2");
    expect_csv_refused("name,value\n\"a\nb\",1\n\"c\"d,1\n", ":4: field 1: expected quotes around a whole field");
    expect_csv_refused("name,value\na\"b\",1\n", ":2: field 1: expected quotes around a whole field");
    expect_csv_refused("name,value\na,1\n\"b,2\nc,3\n", ":3: a quote opens in this record and does not close");
    expect_csv_refused("name,value\na,0x10\n", ":2: value: expected a number of at least 0, found \"0x10\"");
    expect_csv_refused("name,value\na,inf\n", ":2: value: expected a number of at least 0, found \"inf\"");
    expect_csv_refused("name,value\na,1e12\n", ":2: value: expected a number below 1e12, found \"1e12\"");
    expect_csv_refused("name,value,value\na,1,2\n", ":1: has two columns \"value\", fields 2 and 3");
    expect_csv_refused("name,value\n", "has a header and no records");
    expect_csv_refused("", "is empty, expected a header and records");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_block_size_is_what_every_line_fits),
        cmocka_unit_test(test_ids_that_no_one_block_size_gives_are_named),
        cmocka_unit_test(test_a_block_size_that_shows_late_is_named),
        cmocka_unit_test(test_requests_read_ahead_come_in_order_with_their_ids),
        cmocka_unit_test(test_time_units_that_cannot_be_are_named_and_stated),
        cmocka_unit_test(test_dates_as_iso_8601_writes_them),
        cmocka_unit_test(test_azure_csv_as_programs_write_it),
        cmocka_unit_test(test_a_trace_without_requests_is_named),
        cmocka_unit_test(test_hash_lists_mean_the_same_however_they_are_written),
        cmocka_unit_test(test_rows_that_leave_open_what_they_mean_are_named),
        cmocka_unit_test(test_gzip_is_read_whole_or_named),
        cmocka_unit_test(test_lines_up_to_the_longest),
        cmocka_unit_test(test_csv_as_rfc_4180_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
