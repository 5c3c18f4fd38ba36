/* SPDX-License-Identifier: MIT */
/* A link, by hand: 1 byte a nanosecond on every connection, and 10 ns of latency. */
#include "sim/link.h"

#include "tests/harness.h"

static struct link create(enum link_discipline discipline)
{
    struct link l;
    const struct link_config config = {.bytes_per_s = 1e9, .latency = 10, .discipline = discipline};
    assert_int_equal(link_init(&l, &config, 2, 2), 0);
    return l;
}

static void send(struct link *l, sim_time now, size_t from, size_t to, double bytes, const char *name)
{
    size_t where;
    while (link_next(l) < now)
        assert_null(link_arrived(l, link_next(l), &where)); /* nothing arrives before these tests look */
    assert_int_equal(link_send(l, from, to, bytes, (void *)(uintptr_t)name, now), 0);
}

/* The next to arrive: which, where and when. */
static void expect_arrival(struct link *l, const char *name, size_t to, sim_time at)
{
    size_t where = SIZE_MAX;
    void *what = NULL;
    sim_time now = 0;
    while (!what && link_next(l) < SIM_TIME_NEVER)
        what = link_arrived(l, now = link_next(l), &where);
    assert_ptr_equal(what, name);
    assert_int_equal(where, to);
    assert_int_equal(now, at);
}

/* A and B leave the same source with 100 bytes each: half the bandwidth for both. At 50, when they have 75 left, C (30
 * bytes) comes from the other source to where B goes: B and C have half of that. C is sent at 110; A and B, still
 * sharing their source, at 200. */
static void test_transfers_share_both_ends(void **state)
{
    (void)state;
    static const char a[] = "A", b[] = "B", c[] = "C";
    struct link l = create(LINK_SHARED);
    send(&l, 0, 0, 0, 100, a);
    send(&l, 0, 0, 1, 100, b);
    send(&l, 50, 1, 1, 30, c);
    expect_arrival(&l, c, 1, 120);
    expect_arrival(&l, a, 0, 210);
    expect_arrival(&l, b, 1, 210);
    assert_int_equal(link_next(&l), SIM_TIME_NEVER);
    link_release(&l);
}

/* When one of two ends, the other has all of the bandwidth: 20 bytes of 100 by 40, then 60 more by 100. */
static void test_what_is_left_goes_faster(void **state)
{
    (void)state;
    static const char a[] = "A", b[] = "B";
    struct link l = create(LINK_SHARED);
    send(&l, 0, 0, 0, 20, a);
    send(&l, 0, 0, 1, 80, b);
    expect_arrival(&l, a, 0, 50);
    expect_arrival(&l, b, 1, 110);
    link_release(&l);
}

/* A takes destination 0 until 1000. B waits for that, but not its source meanwhile: C goes from there at once. */
static void test_a_transfer_that_waits_holds_nothing(void **state)
{
    (void)state;
    static const char a[] = "A", b[] = "B", c[] = "C", d[] = "D";
    struct link l = create(LINK_FIFO);
    send(&l, 0, 0, 0, 1000, a);
    send(&l, 1, 1, 0, 10, b);
    send(&l, 2, 1, 1, 10, c);
    send(&l, 3, 1, 0, 10, d); /* after B, which asked first */
    expect_arrival(&l, c, 1, 22);
    expect_arrival(&l, a, 0, 1010);
    expect_arrival(&l, b, 0, 1020);
    expect_arrival(&l, d, 0, 1030);
    link_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfers_share_both_ends),
        cmocka_unit_test(test_what_is_left_goes_faster),
        cmocka_unit_test(test_a_transfer_that_waits_holds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
