/* SPDX-License-Identifier: MIT */
/* What is bought for GPUs that are needed: nodes, spare ones, racks, prices; worked out by hand. */
#include <math.h>

#include "planner/plan.h"
#include "profiles/device.h"
#include "tests/harness.h"

/* Replicas of a device. */
static struct held_gpus pool_of(const char *device, double replicas, double together)
{
    struct held_gpus held = {.gpus = replicas * together, .mean = replicas * together, .together = together};
    snprintf(held.device, sizeof held.device, "%s", device);
    return held;
}

static void offer(struct offers *offers, const char *device, double gpus_per_node, double node_power_w, double price)
{
    struct purchase p = {.gpus_per_node = gpus_per_node, .node_power_w = node_power_w};
    p.prices[PRICE_ON_DEMAND] = (struct listed_price){.per_h = price, .source = "a list", .date = "2026-09-20"};
    offers_add(offers, device, device, &p, "");
}

static const struct buying nodes = {.whole_nodes = true,
                                    .most_nodes = INFINITY,
                                    .most_node_power_w = INFINITY,
                                    .rack_power_w = INFINITY,
                                    .most_racks = INFINITY};

static struct bill bill_of(const struct buying *b, const struct offers *o, const struct held_gpus *held, size_t pools)
{
    struct bill bill;
    bill_make(b, o, NULL, 0, held, pools, &bill);
    return bill;
}

/* 12 H200 at 3.79 are 45.48 an hour, less than 16 H100 at 2.99, 47.84: but two nodes of 8 H200 are 60.64. */
static void test_whole_nodes_turn_a_choice_around(void **state)
{
    (void)state;
    struct offers o = {.count = 0};
    offer(&o, "h200-sxm", 8, 0, 3.79);
    offer(&o, "h100-sxm", 8, 0, 2.99);
    const struct held_gpus h200 = pool_of("h200-sxm", 6, 2), h100 = pool_of("h100-sxm", 4, 4);
    struct buying single = nodes;
    single.whole_nodes = false;
    struct bill a = bill_of(&nodes, &o, &h200, 1), b = bill_of(&nodes, &o, &h100, 1);
    assert_true(a.gpus == 12 && a.nodes == 2 && a.bought == 16 && fabs(a.cost_per_h - 60.64) < 1e-9);
    assert_true(b.gpus == 16 && b.nodes == 2 && b.bought == 16 && fabs(b.cost_per_h - 47.84) < 1e-9);
    a = bill_of(&single, &o, &h200, 1);
    assert_true(a.nodes == 0 && a.bought == 12 && fabs(a.cost_per_h - 45.48) < 1e-9);
}

/* Nodes of 8. Replicas of 4: two in a node, so 7 take 4. One of 8, three of 4 and one of 2: 8 | 4 4 | 4 2. Three of 5:
 * one each. Two of 16: 2 nodes each, and one of 2 next to them in one more. Three of 3 and two of 2: 3 3 2 | 3 2. */
static void test_replicas_are_packed_into_nodes(void **state)
{
    (void)state;
    static const struct {
        struct {
            double replicas, together;
        } pools[3];
        size_t count;
        double nodes;
    } cases[] = {{{{7, 4}}, 1, 4},          {{{1, 2}, {3, 4}, {1, 8}}, 3, 3}, {{{3, 5}}, 1, 3},
                 {{{2, 16}, {1, 2}}, 2, 5}, {{{2, 2}, {3, 3}}, 2, 2},         {{{1000, 1}}, 1, 125}};
    struct offers o = {.count = 0};
    offer(&o, "h100-sxm", 8, 0, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct held_gpus held[3];
        for (size_t k = 0; k < cases[i].count; k++)
            held[k] = pool_of("h100-sxm", cases[i].pools[k].replicas, cases[i].pools[k].together);
        struct bill bill = bill_of(&nodes, &o, held, cases[i].count);
        if (bill.nodes != cases[i].nodes || bill.count != 1)
            fail_msg("case %zu: %g nodes", i, bill.nodes);
    }
}

/* 5 nodes and a spare one of 8 at 2: 96 an hour, 61.2 kW at 10.2 each; racks of 40.8 kW hold 4: two. Two devices: each
 * has its nodes, its spare one and its racks. A rack that holds no node is no rack. */
static void test_spare_nodes_power_and_racks(void **state)
{
    (void)state;
    struct offers o = {.count = 0};
    offer(&o, "h100-sxm", 8, 10200, 2);
    offer(&o, "l40s", 4, 0, 1);
    struct buying b = nodes;
    b.spare_nodes = 1;
    b.rack_power_w = 40800;
    struct held_gpus held[] = {pool_of("h100-sxm", 5, 8), pool_of("l40s", 5, 1)};
    held[1].power_w = 350;
    struct bill bill = bill_of(&b, &o, held, 1);
    assert_true(bill.nodes == 6 && bill.bought == 48 && bill.cost_per_h == 96 && bill.power_w == 61200);
    assert_true(bill.racks == 2 && bill.lines[0].nodes == 5 && bill.lines[0].spare_nodes == 1);
    bill = bill_of(&b, &o, held, 2); /* of l40s 2 nodes and a spare one, 12 boards of 350 W; all in one rack */
    assert_true(bill.count == 2 && bill.nodes == 9 && bill.cost_per_h == 108 && bill.racks == 3);
    assert_true(bill.lines[1].power_w == 4200 && bill.gpus == 45 && bill.bought == 60);
    b.most_nodes = 9;
    assert_true(bill_is_allowed(&b, &bill));
    b.most_nodes = 8;
    assert_false(bill_is_allowed(&b, &bill));
    b.most_nodes = INFINITY;
    b.most_node_power_w = 65400; /* exactly what they take */
    assert_true(bill_is_allowed(&b, &bill));
    b.most_node_power_w = 65399;
    assert_false(bill_is_allowed(&b, &bill));
    b.most_node_power_w = INFINITY;
    b.most_racks = 2;
    assert_false(bill_is_allowed(&b, &bill));
    b.most_racks = INFINITY;
    b.rack_power_w = 10000;
    bill = bill_of(&b, &o, held, 2);
    assert_false(bill_is_allowed(&b, &bill));
}

/* Of 2 nodes a quarter is held on average: a quarter of the price, but for the spare node, all of it. */
static void test_what_is_held_on_average_is_paid_for(void **state)
{
    (void)state;
    struct offers o = {.count = 0};
    offer(&o, "h100-sxm", 8, 0, 2);
    struct buying b = nodes;
    struct held_gpus held = pool_of("h100-sxm", 4, 4);
    held.mean = 4;
    struct bill bill = bill_of(&b, &o, &held, 1);
    assert_true(bill.nodes == 2 && bill.cost_per_h == 8);
    b.spare_nodes = 1;
    bill = bill_of(&b, &o, &held, 1);
    assert_true(bill.nodes == 3 && bill.cost_per_h == 24);
}

/* A fitted device is bought as the one that it is a device of; every shipped price has a source and a date. */
static void test_shipped_devices_say_how_they_are_bought(void **state)
{
    (void)state;
    static const char *const names[] = {"h100-sxm", "h200-sxm",  "a100-80gb", "b200",         "b300", "gb200",
                                        "l40s",     "h100-pcie", "a6000",     "rtx-pro-6000", "a10",  "a100-40gb"};
    struct device d, fitted;
    struct error err = {0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        expect_ok(device_load(names[i], &d, &err), &err);
        const struct listed_price *p = &d.purchase.prices[PRICE_ON_DEMAND];
        if (!(d.purchase.gpus_per_node > 0) || !(p->per_h > 0) || !p->source[0] || strlen(p->date) != 10 ||
            d.price_per_hour != p->per_h)
            fail_msg("%s", names[i]);
        device_release(&d);
    }
    expect_ok(device_load("h100-sxm", &d, &err), &err);
    expect_ok(device_load("h100-sxm-vllm-0.19", &fitted, &err), &err);
    assert_true(fitted.purchase.gpus_per_node == 8 && fitted.price_per_hour == d.price_per_hour);
    assert_true(fitted.purchase.prices[PRICE_RESERVED].per_h == d.purchase.prices[PRICE_RESERVED].per_h);
    device_release(&fitted);
    device_release(&d);
    expect_ok(device_load("gb200", &d, &err), &err); /* nodes of 4, of which NVLink joins 18 */
    assert_true(d.purchase.gpus_per_node == 4 && d.purchase.link_gpus == 72);
    device_release(&d);
}

#define PLAN                                                                                                           \
    "{\"scenario\": {\"model\": \"llama-3.1-8b\", \"device\": \"%s\", \"cluster\": {\"tensor_parallel\": %d}, "        \
    "\"workload\": {\"arrivals\": {\"name\": \"poisson\", \"rate_per_s\": 1}, \"requests\": 10, \"lengths\": "         \
    "{\"prompt\": {\"name\": \"fixed\", \"tokens\": 10}, \"output\": {\"name\": \"fixed\", \"tokens\": 2}}}, "         \
    "\"slo\": {\"ttft_s\": {\"p99\": 1}}}%s}"

static struct bill plan_bill_of(const char *device, int tensor, const char *more, size_t units, size_t *filled,
                                struct price_said *said)
{
    char text[1500];
    struct json root;
    struct plan plan;
    struct family *families;
    size_t count;
    struct bill bill;
    struct error err = {0};
    snprintf(text, sizeof text, PLAN, device, tensor, more);
    expect_ok(json_parse(text, "plan", &root, &err), &err);
    expect_ok(plan_read(&plan, root, &err), &err);
    expect_ok(families_make(&plan, &families, &count, &err), &err);
    assert_int_equal(count, 1);
    family_bill(&plan, &families[0], units, &bill);
    *filled = family_filled(&plan, &families[0], units, 100);
    plan_price_said(&plan, device, said);
    if (tensor > 8)
        assert_string_equal(families[0].refused, "a replica's tensor parallelism does not fit in a node");
    families_release(families, count);
    plan_release(&plan);
    bill.lines[0].device = NULL;
    return bill;
}

/* 3 replicas of 2 GPUs: a node of 8, which has room for 4. The plan's price goes before the list's, the list's kind is
 * the plan's. */
static void test_prices_of_a_plan(void **state)
{
    (void)state;
    size_t filled;
    struct price_said said;
    struct bill bill = plan_bill_of("h100-sxm", 2, "", 3, &filled, &said);
    assert_true(bill.nodes == 1 && bill.gpus == 6 && fabs(bill.cost_per_h - 8 * 3.20) < 1e-9 && filled == 4);
    assert_string_equal(said.source, "Hyperstack, price list (on demand)");
    assert_string_equal(said.date, "2026-08-26");
    assert_string_equal(said.currency, "USD");
    bill = plan_bill_of("h100-sxm", 2, ", \"buy\": {\"price\": \"reserved\", \"spare_nodes\": 1}", 3, &filled, &said);
    assert_true(bill.nodes == 2 && fabs(bill.cost_per_h - 16 * 2.72) < 1e-9 && filled == 4);
    assert_string_equal(said.source, "Hyperstack, price list (reserved)");
    bill = plan_bill_of("h100-sxm", 2,
                        ", \"prices_per_h\": {\"h100-sxm\": 5}, \"buy\": {\"by\": \"gpu\", \"currency\": \"EUR\"}", 3,
                        &filled, &said);
    assert_true(bill.nodes == 0 && bill.cost_per_h == 30 && filled == 3);
    assert_string_equal(said.source, "the plan's own price");
    assert_string_equal(said.currency, "EUR");
    bill = plan_bill_of("h100-sxm", 2, ", \"constraints\": {\"gpus_per_node\": 4}", 3, &filled, &said);
    assert_true(bill.nodes == 2 && filled == 4);
    plan_bill_of("h100-sxm", 16, "", 1, &filled, &said); /* more than a node */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_nodes_turn_a_choice_around),
        cmocka_unit_test(test_replicas_are_packed_into_nodes),
        cmocka_unit_test(test_spare_nodes_power_and_racks),
        cmocka_unit_test(test_what_is_held_on_average_is_paid_for),
        cmocka_unit_test(test_shipped_devices_say_how_they_are_bought),
        cmocka_unit_test(test_prices_of_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
