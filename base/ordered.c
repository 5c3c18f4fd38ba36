/* SPDX-License-Identifier: MIT */
#include "base/ordered.h"

#include "base/random.h"

/* The smallest rank is the root. */
static uint64_t heap_rank(const struct ordered *o)
{
    return random_mix(o->number + random_mix((uint64_t)o->time));
}

/* The link that leads to a node. */
static struct ordered **link_to(struct ordered **root, const struct ordered *o)
{
    return !o->up ? root : o->up->left == o ? &o->up->left : &o->up->right;
}

/* A node takes the place of the node above it, which becomes its child; places keep their order. */
static void rotate_up(struct ordered **root, struct ordered *o)
{
    struct ordered *above = o->up, *between;
    struct ordered **from = link_to(root, above);
    if (above->left == o) {
        between = above->left = o->right;
        o->right = above;
    } else {
        between = above->right = o->left;
        o->left = above;
    }
    if (between)
        between->up = above;
    o->up = above->up;
    above->up = o;
    *from = o;
}

struct ordered *ordered_insert(struct ordered **root, struct ordered *o)
{
    struct ordered **place = root, *above = NULL, *after = NULL;
    while (*place) {
        above = *place;
        bool before = ordered_before(o, above);
        after = before ? above : after;
        place = before ? &above->left : &above->right;
    }
    o->left = o->right = NULL;
    o->up = above;
    *place = o;
    uint64_t rank = heap_rank(o);
    while (o->up && rank < heap_rank(o->up))
        rotate_up(root, o);
    return after;
}

void ordered_remove(struct ordered **root, struct ordered *o)
{
    while (o->left && o->right)
        rotate_up(root, heap_rank(o->left) < heap_rank(o->right) ? o->left : o->right);
    struct ordered *below = o->left ? o->left : o->right;
    *link_to(root, o) = below;
    if (below)
        below->up = o->up;
    o->up = o->left = o->right = NULL;
}

struct ordered *ordered_first(struct ordered *root)
{
    while (root && root->left)
        root = root->left;
    return root;
}

struct ordered *ordered_last(struct ordered *root)
{
    while (root && root->right)
        root = root->right;
    return root;
}

struct ordered *ordered_next(const struct ordered *o)
{
    if (o->right)
        return ordered_first(o->right);
    while (o->up && o->up->right == o)
        o = o->up;
    return o->up;
}

struct ordered *ordered_find(struct ordered *root, const struct ordered *o)
{
    while (root && (ordered_before(o, root) || ordered_before(root, o)))
        root = ordered_before(o, root) ? root->left : root->right;
    return root;
}
