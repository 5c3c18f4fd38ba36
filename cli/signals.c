/* SPDX-License-Identifier: MIT */
#include "cli/signals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/temporary.h"

/* A signal that comes twice so soon was sent once: to a process and to its group. */
#define SAME_SIGNAL_S 0.1
#define LEAST_TIME_NS 700000000

static volatile sig_atomic_t came, told, keeps;
static struct timespec came_at;
static timer_t timer;
static bool has_timer;
static pid_t owner; /* an engine in a process of its own inherits the handlers */
static char name[64];
static const char *volatile says = "", *volatile late; /* the limit's sentence; NULL: there is no limit */

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void end(int number)
{
    if (getpid() == owner) {
        temporaries_remove();
        say(name);
        say("interrupted");
        say(says);
        say("\n");
    }
    _exit(128 + number);
}

static double seconds_since(const struct timespec *then)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) * 1e-9;
}

static void take_signal(int number)
{
    if (!told || (came && seconds_since(&came_at) > SAME_SIGNAL_S))
        end(number);
    if (came)
        return;
    clock_gettime(CLOCK_MONOTONIC, &came_at);
    came = number;
    if (has_timer)
        timer_settime(timer, 0, &(struct itimerspec){.it_value = {.tv_nsec = LEAST_TIME_NS}}, NULL);
}

static void end_late(int number)
{
    (void)number;
    if (late && !came && getpid() == owner) {
        temporaries_remove();
        say(name);
        say(late);
        say("\n");
        _exit(EXIT_FAILURE);
    }
    if (!keeps && came)
        end(came);
    if (keeps && getpid() == owner) {
        say(name);
        say("keeps what has finished; a second signal ends it\n");
    }
}

static void handle(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(number, &action, NULL);
}

void signals_begin(const char *command)
{
    struct sigaction hangup;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    owner = getpid();
    snprintf(name, sizeof name, "tandem%s%.40s: ", command ? " " : "", command ? command : "");
    handle(SIGALRM, end_late);
    has_timer = timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;
    handle(SIGINT, take_signal); /* which a script's shell has ignored in what it starts in the background */
    handle(SIGTERM, take_signal);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) /* nohup */
        handle(SIGHUP, take_signal);
    signal(SIGPIPE, SIG_DFL); /* whoever reads no more has had enough, and hears nothing */
}

const volatile sig_atomic_t *stop_on_signal(void)
{
    told = 1;
    return &came;
}

void end_on_signal(void)
{
    told = 0;
}

bool signal_came(void)
{
    return came != 0;
}

void signals_wait_for_keeping(void)
{
    keeps = 1;
}

void signals_say(const char *what)
{
    says = what;
}

void signals_limit(unsigned seconds, const char *sentence)
{
    late = sentence;
    alarm(seconds);
}

void signals_no_limit(void)
{
    alarm(0);
    late = NULL;
}
