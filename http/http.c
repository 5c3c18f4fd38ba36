/* SPDX-License-Identifier: MIT */
#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    ALL_BODIES = 64 << 20, /* bytes that bodies under way may take together */
    HEADER_MEMORY = 32768,
    STACK = 2 << 20, /* of a connection: JSON may be nested to a thousand levels */
    BLOCK = 4096,    /* of a streamed answer */
    BACKLOG = 128,
    IDLE_S = 75 /* between two requests of a connection */
};

/* What a connection's client has to do next, and since when. */
enum phase { PHASE_NEW, PHASE_IDLE, PHASE_SENDS, PHASE_WAITS, PHASE_TAKES };

struct connection {
    struct connection *next, **link;
    int fd;
    enum phase phase;
    double since;
    struct http_server *server;
};

struct http_server {
    struct MHD_Daemon *daemon;
    http_handler handler;
    void *state;
    struct http_options options;
    char address[INET_ADDRSTRLEN];
    unsigned port;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct connection *connections;
    size_t body_bytes; /* of bodies under way */
    size_t exchanges;  /* requests that have not had their whole answer */
    bool stopping;
    pthread_t sweeper;
};

/* A request under way. */
struct exchange {
    struct connection *connection;
    char *body;
    size_t size, capacity;
    int refusal; /* a status, once the body cannot be taken */
    struct http_answer answer;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

char *http_text(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : malloc((size_t)length + 1);
    if (!text)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    return text;
}

static void enter(struct connection *c, enum phase phase)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->server->lock);
    c->phase = phase;
    c->since = now_s();
    pthread_mutex_unlock(&c->server->lock);
}

/* A connection that is not in the list is one that there was no memory for: it is closed by the first request. */
static void notice_connection(void *state, struct MHD_Connection *at, void **context,
                              enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = state;
    struct connection *c = *context;
    pthread_mutex_lock(&s->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c = *context = calloc(1, sizeof *c);
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(at, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (c) {
            *c = (struct connection){s->connections, &s->connections, info ? info->connect_fd : -1,
                                     PHASE_NEW,      now_s(),         s};
            if (c->next)
                c->next->link = &c->next;
            s->connections = c;
        }
    } else if (c) {
        *c->link = c->next;
        if (c->next)
            c->next->link = c->link;
        free(c);
        *context = NULL;
    }
    pthread_mutex_unlock(&s->lock);
}

/* Ends connections whose client keeps the server waiting. */
static void *sweep(void *state)
{
    struct http_server *s = state;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        double now = now_s();
        for (struct connection *c = s->connections; c; c = c->next) {
            double most = c->phase == PHASE_IDLE ? IDLE_S : (double)s->options.most_wait_s;
            if (c->phase != PHASE_WAITS && now - c->since > most && c->fd >= 0)
                shutdown(c->fd, SHUT_RDWR);
        }
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        pthread_cond_timedwait(&s->wake, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* Takes as long whatever the text is. */
static bool same_token(const char *token, const char *text)
{
    size_t length = strlen(token), own = strlen(text);
    unsigned char differs = own != length;
    for (size_t i = 0; i < length; i++)
        differs |= (unsigned char)token[i] ^ (unsigned char)(i < own ? text[i] : 0);
    return !differs;
}

static bool brings_token(const struct http_server *s, struct MHD_Connection *at)
{
    static const char bearer[] = "Bearer ";
    if (!s->options.token)
        return true;
    const char *header = MHD_lookup_connection_value(at, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    const char *query = MHD_lookup_connection_value(at, MHD_GET_ARGUMENT_KIND, "token");
    return (header && strncmp(header, bearer, sizeof bearer - 1) == 0 &&
            same_token(s->options.token, header + sizeof bearer - 1)) ||
           (query && same_token(s->options.token, query));
}

/* Whether a Host names this machine, with the port or without. An address that is open to others has other names. */
static bool names_us(const struct http_server *s, struct MHD_Connection *at)
{
    const char *const names[] = {"127.0.0.1", "localhost", s->address};
    const char *host = MHD_lookup_connection_value(at, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
    if (strncmp(s->address, "127.", 4) != 0 || !host)
        return true;
    size_t length = strcspn(host, ":");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (length == strlen(names[i]) && strncmp(host, names[i], length) == 0)
            return true;
    return false;
}

static void refuse(struct http_answer *out, int status, const char *sentence)
{
    *out = (struct http_answer){.status = status,
                                .text = http_text("{\"error\":{\"message\":\"%s\",\"type\":\"%s\","
                                                  "\"param\":null,\"code\":%d}}\n",
                                                  sentence, "invalid_request_error", status)};
}

static ssize_t read_more(void *state, uint64_t position, char *out, size_t room)
{
    struct exchange *x = state;
    (void)position;
    enter(x->connection, PHASE_WAITS);
    ssize_t got = x->answer.read(x->answer.state, out, room);
    enter(x->connection, PHASE_TAKES);
    return got > 0 ? got : got == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Nobody but us may show an answer in a frame, guess its type or keep it. */
static enum MHD_Result send_answer(struct MHD_Connection *at, struct exchange *x)
{
    struct http_answer *a = &x->answer;
    struct MHD_Response *r =
        a->read ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, read_more, x, NULL)
                : MHD_create_response_from_buffer(a->text ? strlen(a->text) : 0, a->text ? a->text : "",
                                                  a->text ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    a->text = NULL;
    enum MHD_Result sent =
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a->type ? a->type : "application/json") &&
                MHD_add_response_header(r, "X-Content-Type-Options", "nosniff") &&
                MHD_add_response_header(r, "X-Frame-Options", "DENY") &&
                MHD_add_response_header(r, "Referrer-Policy", "no-referrer") &&
                MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store")
            ? MHD_queue_response(at, (unsigned)(a->status ? a->status : 200), r)
            : MHD_NO;
    MHD_destroy_response(r);
    enter(x->connection, PHASE_TAKES);
    return sent;
}

static void count_body(struct http_server *s, size_t more, size_t less)
{
    pthread_mutex_lock(&s->lock);
    s->body_bytes += more - less;
    pthread_mutex_unlock(&s->lock);
}

/* A part of a body. One that cannot be kept is read to its end, and refused then. */
static void take_body(struct http_server *s, struct exchange *x, const char *data, size_t size)
{
    if (x->size + size > s->options.most_body)
        x->refusal = 413;
    if (x->refusal)
        return;
    if (x->size + size + 1 > x->capacity) {
        size_t capacity = 2 * (x->size + size) + 1;
        capacity = capacity > s->options.most_body + 1 ? s->options.most_body + 1 : capacity;
        pthread_mutex_lock(&s->lock);
        bool fits = s->body_bytes + capacity - x->capacity <= ALL_BODIES;
        pthread_mutex_unlock(&s->lock);
        char *grown = fits ? realloc(x->body, capacity) : NULL;
        if (!grown) {
            x->refusal = 503;
            return;
        }
        count_body(s, capacity, x->capacity);
        x->body = grown;
        x->capacity = capacity;
    }
    memcpy(x->body + x->size, data, size);
    x->size += size;
    x->body[x->size] = 0;
}

static struct exchange *begin(struct http_server *s, struct MHD_Connection *at)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(at, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    x->connection = info ? info->socket_context : NULL;
    if (!x->connection) {
        free(x);
        return NULL;
    }
    pthread_mutex_lock(&s->lock);
    s->exchanges++;
    pthread_mutex_unlock(&s->lock);
    enter(x->connection, PHASE_SENDS);
    return x;
}

/* Called when the headers are there, for every part of the body, and at its end. */
static enum MHD_Result take(void *state, struct MHD_Connection *at, const char *url, const char *method,
                            const char *version, const char *data, size_t *size, void **context)
{
    struct http_server *s = state;
    struct exchange *x = *context;
    (void)version;
    if (!x)
        return (*context = begin(s, at)) ? MHD_YES : MHD_NO;
    if (*size > 0) {
        take_body(s, x, data, *size);
        *size = 0;
        return MHD_YES;
    }
    const struct http_request request = {method, url, x->body ? x->body : "", x->size};
    enter(x->connection, PHASE_WAITS);
    if (!names_us(s, at))
        refuse(&x->answer, 403, "the Host of the request is not this machine");
    else if (!brings_token(s, at))
        refuse(&x->answer, 401, "expected the token that was printed at the start");
    else if (x->refusal == 413)
        refuse(&x->answer, 413, "the body is longer than this server takes");
    else if (x->refusal)
        refuse(&x->answer, 503, "too many bodies are under way");
    else if (memchr(x->body ? x->body : "", 0, x->size))
        refuse(&x->answer, 400, "the body holds a byte 0");
    else
        s->handler(s->state, &request, &x->answer);
    return send_answer(at, x);
}

static void complete(void *state, struct MHD_Connection *at, void **context, enum MHD_RequestTerminationCode how)
{
    struct http_server *s = state;
    struct exchange *x = *context;
    (void)at, (void)how;
    if (!x)
        return;
    if (x->answer.done)
        x->answer.done(x->answer.state);
    enter(x->connection, PHASE_IDLE);
    pthread_mutex_lock(&s->lock);
    s->body_bytes -= x->capacity;
    s->exchanges--;
    pthread_mutex_unlock(&s->lock);
    free(x->answer.text);
    free(x->body);
    free(x);
    *context = NULL;
}

/* A socket of our own, so that what fails has a sentence. */
static int listen_at(struct http_server *s, int *out, struct error *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->options.port)};
    socklen_t size = sizeof at;
    int yes = 1;
    if (inet_pton(AF_INET, s->options.address ? s->options.address : "127.0.0.1", &at.sin_addr) != 1)
        return error_set(err, ERROR_INPUT, "address %s: expected an IPv4 address", s->options.address);
    inet_ntop(AF_INET, &at.sin_addr, s->address, sizeof s->address);
    int fd = *out = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) ||
        bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, BACKLOG) ||
        getsockname(fd, (struct sockaddr *)&at, &size)) {
        error_set(err, errno == EADDRINUSE || errno == EACCES || errno == EADDRNOTAVAIL ? ERROR_INPUT : ERROR_IO,
                  "%s:%u: %s", s->address, s->options.port, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    s->port = ntohs(at.sin_port);
    return 0;
}

/* Signals are the main thread's: who serves does not see them. */
static int start_threads(struct http_server *s, int fd, struct error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool sweeps = pthread_create(&s->sweeper, NULL, sweep, s) == 0;
    if (sweeps)
        s->daemon =
            MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
                                 MHD_USE_ITC,
                             0, NULL, NULL, take, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                             s->options.most_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_MEMORY,
                             MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK, MHD_OPTION_NOTIFY_CONNECTION,
                             notice_connection, s, MHD_OPTION_NOTIFY_COMPLETED, complete, s, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (s->daemon)
        return 0;
    if (sweeps) {
        pthread_mutex_lock(&s->lock);
        s->stopping = true;
        pthread_cond_signal(&s->wake);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->sweeper, NULL);
    }
    close(fd);
    return error_set(err, ERROR_RUN, "%s:%u: the server's threads could not be started", s->address, s->port);
}

static void release(struct http_server *s)
{
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int http_start(struct http_server **out, const struct http_options *o, http_handler handler, void *state,
               struct error *err)
{
    struct http_server *s = calloc(1, sizeof *s);
    int fd = -1;
    if (!s)
        return error_no_memory(err);
    s->options = *o;
    s->handler = handler;
    s->state = state;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    if (listen_at(s, &fd, err) || start_threads(s, fd, err)) {
        release(s);
        return -1;
    }
    *out = s;
    return 0;
}

unsigned http_port(const struct http_server *s)
{
    return s->port;
}

const char *http_address(const struct http_server *s)
{
    return s->address;
}

static bool is_quiet(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    bool quiet = s->exchanges == 0;
    pthread_mutex_unlock(&s->lock);
    return quiet;
}

void http_stop(struct http_server *s, double most_s)
{
    if (!s)
        return;
    int fd = MHD_quiesce_daemon(s->daemon);
    for (double until = now_s() + most_s; !is_quiet(s) && now_s() < until;)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    for (struct connection *c = s->connections; c; c = c->next)
        if (c->fd >= 0)
            shutdown(c->fd, SHUT_RDWR);
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
    MHD_stop_daemon(s->daemon);
    if (fd >= 0)
        close(fd);
    pthread_join(s->sweeper, NULL);
    release(s);
}
