/* wsload - load generator and VNC server for WebSocket->TCP and CONNECT proxies.
 *
 *   wsload backend PORT [-n ports]      (0: any that are free; prints PORTS and them)
 *   wsload TEST URL [-n sessions] [-c chunk] [-t total bytes|events] [-b burst]
 *                   [-d seconds] [-r reply] [-p pace/s] [-f paths]
 *   TEST  check | down | up | rtt | setup | hold | slow | soak
 *   URL   ws://H:P/path       RFC 6455, binary frames, masked
 *         wss://H:P/path      the same; another process between us and the proxy adds TLS
 *         connect://H:P/path  CONNECT path HTTP/1.0 -> 200 -> bytes
 *         tcp://H:P           bytes: the backend itself, HAProxy's tcp mode
 *   -b    a power of two up to 1024
 *   -f    a file: for each session a line, its own path and its server's name of 5 letters
 *
 * Both ends speak RFB 3.8, since a proxy may take part in the handshake and may
 * look at every message.  All the viewer sends are valid RFB messages:
 *   KeyEvent, PointerEvent, QEMU extended KeyEvent: the load.  A session's event
 *     number k carries k in its fields, and the server compares every byte.
 *   FramebufferUpdateRequest: an order of two numbers, a = x:y and b = w:h.
 *     incremental 0: send now, b writes of a bytes;
 *     incremental 1: send as things change, b bytes after every a-th event.
 * All the server sends is one stream: the handshake's words, then Raw updates of
 * 1021 x 16 pixels without end.  Every answer is the next piece of it, so it is
 * valid RFB throughout, though an answer may stop within an update.
 * The viewer, too, compares every byte that it gets, in every test.
 *
 * Dialogue with the driver: prints READY, waits for a line, runs, prints one
 * line "DONE {json}", waits for a line, exits.  Sessions stay open meanwhile.
 * soak goes on: each line says what comes next, "type K" or "every" (see there).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int said;                                /* complaints: the first few will do */
#define SAY(...) ((void)(said++ < 9 && fprintf(stderr, __VA_ARGS__)))
static void die(const char *m) { fprintf(stderr, errno ? "%s: %s\n" : "%s\n", m, strerror(errno)); exit(1); }
static double now(void) {
    struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static void nodelay(int fd) { int one = 1; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); }
static void put32(unsigned char *o, uint32_t v) { v = htonl(v); memcpy(o, &v, 4); }
static uint32_t get32(const unsigned char *p) { uint32_t v; memcpy(&v, p, 4); return ntohl(v); }

/* ----------------------------------------------------------------- RFB -- */

enum { UPDATE = 3, KEY = 4, POINTER = 5, QEMU = 255 };  /* the viewer's messages */
enum { LAST = 3, HELLO = 12 + 2 + 4 + 29, PERIOD = 16 + 1021 * 16 * 4, MAXIO = 1 << 20, EVENTS = 1024 };

/* Version; security type None; its result and ClientInit (shared); ServerInit: 1024 x 768, 32 bits, "bench". */
static const struct { int n; const char *server; int m; const char *viewer; } turn[] = {
    {12, "RFB 003.008\n", 12, "RFB 003.008\n"}, {2, "\1\1", 1, "\1"}, {4, "\0\0\0", 1, "\1"},
    {29, "\4\0\3\0" " \30\0\1" "\0\377\0\377\0\377" "\20\10\0\0\0\0" "\0\0\0\5bench", 0, ""}};

static unsigned char stream[HELLO + PERIOD + MAXIO];
static const unsigned char *at(uint64_t off) { return stream + (off < HELLO ? off : HELLO + (off - HELLO) % PERIOD); }

static void fill_stream(void) {
    unsigned char *o = stream;
    for (int i = 0; i <= LAST; i++) { memcpy(o, turn[i].server, turn[i].n); o += turn[i].n; }
    for (uint32_t i = 0; i < PERIOD + MAXIO; i++) o[i] = (i % PERIOD * 2654435761u) >> 19;
    for (uint32_t i = 0; i < PERIOD + MAXIO - 16; i += PERIOD)      /* one rectangle: 0, 0, 1021, 16, Raw */
        memcpy(o + i, "\0\0\0\1" "\0\0\0\0" "\3\375\0\20" "\0\0\0", 16);
}

static int size(int type) { return type == UPDATE ? 10 : type == KEY ? 8 : type == POINTER ? 6 : type == QEMU ? 12 : 0; }

static int event(unsigned char *o, int type, uint32_t k) {          /* a session's event number k */
    unsigned char down = k & 1, hi = k % EVENTS >> 8, lo = k;
    switch (type) {
    case KEY:     memcpy(o, (unsigned char[]){KEY, down, 0, 0, 0, 0, hi, lo}, 8); break;
    case POINTER: memcpy(o, (unsigned char[]){POINTER, down, hi, lo, 0, lo}, 6); break;
    case QEMU:    memcpy(o, (unsigned char[]){QEMU, 0, 0, down, 0, 0, hi, lo, 0, 0, 0, lo & 127}, 12); break;
    }
    return size(type);
}

/* ------------------------------------------------------------- backend -- */

struct conn {
    int fd, out, turn, held; unsigned char part[12];    /* held: bytes of an unfinished message */
    uint32_t chunk, every, left, reply, seen;
    uint64_t off, owed;
};

static int pump(int ep, struct conn *c) {       /* write what is owed */
    for (int i = 0; i < 8 && c->owed; i++) {
        uint64_t most = c->chunk < MAXIO ? c->chunk : MAXIO;
        ssize_t n = send(c->fd, at(c->off), c->owed < most ? c->owed : most, MSG_NOSIGNAL);
        if (n < 0) { if (errno == EAGAIN) break; return -1; }
        c->off += n; c->owed -= n;
    }
    int out = c->owed > 0;
    if (out != c->out) {
        struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
        c->out = out;
    }
    return 0;
}

static int obey(struct conn *c, const unsigned char *p, int n) {    /* one message; nonzero: not what it should be */
    if (c->turn < LAST) { int i = c->turn++; c->owed += turn[i + 1].n; return memcmp(p, turn[i].viewer, n); }
    if (*p == UPDATE) {
        uint32_t a = get32(p + 2), b = get32(p + 6);
        if (p[1]) { c->every = c->left = a; c->reply = b; }
        else { c->chunk = a; c->owed += (uint64_t)a * b; }
        return 0;
    }
    unsigned char e[12];
    if (!--c->left) { c->left = c->every; c->owed += c->reply; }
    return event(e, *p, c->seen++) != n || memcmp(e, p, n);
}

static int take(int ep, struct conn *c) {       /* read and obey */
    static unsigned char buf[1 << 18];
    memcpy(buf, c->part, c->held);
    ssize_t n = recv(c->fd, buf + c->held, sizeof buf - c->held, 0);
    if (n <= 0) return n < 0 && errno == EAGAIN ? 0 : -1;
    unsigned char *p = buf, *end = buf + c->held + n;
    for (int need; p < end; p += need) {
        need = c->turn < LAST ? turn[c->turn].m : size(*p);
        if (end - p < need) break;
        if (!need || obey(c, p, need)) {
            SAY("backend: bad message of type %d after %u events\n", *p, c->seen); return -1;
        }
    }
    memcpy(c->part, p, c->held = end - p);
    return pump(ep, c);
}

static int listener(int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); socklen_t n = sizeof a;
    setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(l, (void *)&a, n) || listen(l, 4096) || getsockname(l, (void *)&a, &n)) die("backend");
    printf(" %d", ntohs(a.sin_port));
    return l;
}

static void backend(int port, int ports) {
    struct epoll_event ev[64], e = {.events = EPOLLIN};
    int ep = epoll_create1(0);
    printf("PORTS");
    for (int i = 0; i < ports; i++) {
        struct conn *c = e.data.ptr = calloc(1, sizeof *c);
        c->turn = -1; c->fd = listener(port ? port + i : 0);
        epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    }
    puts(""); fflush(stdout);
    for (;;) {
        int k = epoll_wait(ep, ev, 64, -1);
        for (int i = 0; i < k; i++) {
            struct conn *c = ev[i].data.ptr;
            if (c->turn < 0) {                  /* a listener */
                for (int fd, l = c->fd; (fd = accept4(l, 0, 0, SOCK_NONBLOCK)) >= 0;) {
                    nodelay(fd);
                    c = calloc(1, sizeof *c); c->fd = fd; c->chunk = MAXIO;
                    c->owed = turn[0].n;
                    e.events = EPOLLIN; e.data.ptr = c;
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
                    pump(ep, c);                /* a failure shows at the next read */
                }
                continue;
            }
            int bad = (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) ? take(ep, c) : 0;
            if (!bad && (ev[i].events & EPOLLOUT)) bad = pump(ep, c);
            if (bad) { close(c->fd); free(c); }
        }
    }
}

/* ------------------------------------------------------------ sessions -- */

enum { WS, CONNECT, TCP };
static int kind, secure, port_; static char host_[64], path_[512], name_[6] = "bench";

/* h, hn: head of a server frame; left: what its payload lacks; off: bytes of the stream had; due: to be had; sent: events */
struct ses { int fd, hn, cn; unsigned char h[10], ctl[125]; uint32_t sent; uint64_t left, off, due; char name[6]; };

static void parse_url(const char *u) {
    char sch[16]; path_[0] = '/'; path_[1] = 0;
    if (sscanf(u, "%15[a-z]://%63[^:/]:%d%511s", sch, host_, &port_, path_) < 3) die("url");
    secure = !strcmp(sch, "wss");
    kind = secure || !strcmp(sch, "ws") ? WS : !strcmp(sch, "connect") ? CONNECT : TCP;
}

static int sendall(int fd, const void *b, size_t n) {
    for (const char *p = b; n;) { ssize_t k = send(fd, p, n, MSG_NOSIGNAL); if (k <= 0) return -1; p += k; n -= k; }
    return 0;
}

/* Writes one masked frame (or the bare bytes) and returns its size. */
static size_t frame(unsigned char *o, int op, const void *d, size_t n) {
    static __thread uint32_t rnd = 2463534242u;
    if (kind != WS) { memcpy(o, d, n); return n; }
    size_t h = 2; o[0] = 0x80 | op;
    if (n < 126) o[1] = 0x80 | n;
    else if (n < 65536) { o[1] = 0x80 | 126; o[2] = n >> 8; o[3] = n; h = 4; }
    else { o[1] = 0x80 | 127; put32(o + 2, (uint64_t)n >> 32); put32(o + 6, n); h = 10; }
    rnd ^= rnd << 13; rnd ^= rnd >> 17; rnd ^= rnd << 5;
    memcpy(o + h, &rnd, 4);
    for (size_t i = 0; i < n; i++) o[h + 4 + i] = ((unsigned char *)d)[i] ^ o[h + (i & 3)];
    return h + 4 + n;
}
static int put(struct ses *s, int op, const void *d, size_t n) {
    unsigned char *o = malloc(n + 16); int r = sendall(s->fd, o, frame(o, op, d, n)); free(o); return r;
}
static int order(struct ses *s, int later, uint32_t a, uint32_t b) {
    unsigned char m[10] = {UPDATE, later}; put32(m + 2, a); put32(m + 6, b); return put(s, 2, m, sizeof m);
}
static int key(struct ses *s) { unsigned char m[12]; return put(s, 2, m, event(m, KEY, s->sent++)); }

static int head(struct ses *s, unsigned char c) {       /* one byte of a frame's head; true: that was all of it */
    s->h[s->hn++] = c;
    int l = s->h[1] & 127, n = l < 126 ? 2 : l == 126 ? 4 : 10;
    if (s->hn < 2 || s->hn < n) return 0;
    s->left = n == 2 ? l : 0;
    for (int i = 2; i < n; i++) s->left = s->left << 8 | s->h[i];
    s->hn = s->cn = 0;
    return 1;
}

static int control(struct ses *s) {             /* a whole control frame; -1: the session is over */
    if (s->h[0] == 0x89) return put(s, 10, s->ctl, s->cn);
    if (s->h[0] == 0x88) SAY("closed: %d %.*s\n", s->cn ? s->ctl[0] << 8 | s->ctl[1] : 0, s->cn > 2 ? s->cn - 2 : 0, s->ctl + 2);
    return s->h[0] == 0x8a ? 0 : -1;
}

static int same(struct ses *s, const unsigned char *p, size_t k) {      /* as sent, but with the name that is ours */
    if (s->off >= HELLO || s->off + k <= HELLO - 5) return !memcmp(p, at(s->off), k);
    for (uint64_t i = s->off; k--; i++, p++)
        if (*p != (i < HELLO && i >= HELLO - 5 ? (unsigned char)s->name[i - (HELLO - 5)] : *at(i))) return 0;
    return 1;
}
static int expected(struct ses *s, const unsigned char *p, size_t k) {
    if (s->off + k > s->due || !same(s, p, k)) {
        char got[81] = ""; for (size_t i = 0; i < k && i < 80; i++) got[i] = isprint(p[i]) ? p[i] : '.';
        SAY("not what is due at byte %lu of the stream: %s\n", s->off, got); return 0;
    }
    s->off += k;
    return 1;
}

/* Reads once; returns bytes of the stream, 0 none yet, -1 over. */
static ssize_t get(struct ses *s) {
    static __thread unsigned char buf[1 << 18];
    ssize_t n = recv(s->fd, buf, sizeof buf, 0); uint64_t had = s->off;
    if (n <= 0) return n < 0 && errno == EAGAIN ? 0 : -1;
    for (unsigned char *p = buf, *end = buf + n; p < end;) {
        size_t k = end - p;
        if (kind == WS) {
            if (s->left) k = k < s->left ? k : s->left;
            else if (head(s, *p++)) k = 0;
            else continue;
            int op = s->h[0] & 15;
            if (s->h[0] & 0x70 || s->h[1] & 0x80 || (op & 8 ? s->left > 125 : op & 5)) { SAY("bad frame %02x %02x\n", s->h[0], s->h[1]); return -1; }
            s->left -= k;
            if (op & 8) {
                memcpy(s->ctl + s->cn, p, k); s->cn += k; p += k;
                if (!s->left && control(s)) return -1;
                continue;
            }
        }
        if (!expected(s, p, k)) return -1;
        p += k;
    }
    return s->off - had;
}
static int want(struct ses *s, uint64_t n) {    /* n bytes more are due: waits for all that is due */
    for (s->due += n; s->off < s->due;) {
        errno = 0; ssize_t k = get(s);          /* 0: only a head or a ping, or the time-out */
        if (!k && errno == EAGAIN) { SAY("silent, with %lu bytes of the stream due and %lu had: ", s->due, s->off); return -1; }
        if (k < 0) return -1;
    }
    return 0;
}

static int open_ses(struct ses *s) {            /* connect, upgrade, and RFB up to ServerInit */
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port_)};
    struct timeval tv = {.tv_sec = 10};         /* a hung session fails, it does not hang us */
    char b[2048] = ""; int n;
    memset(s, 0, sizeof *s); memcpy(s->name, name_, 5);
    inet_pton(AF_INET, host_, &a.sin_addr);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (s->fd < 0 || connect(s->fd, (void *)&a, sizeof a)) { SAY("connect: %s\n", strerror(errno)); return -1; }
    setsockopt(s->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    nodelay(s->fd);
    if (kind != TCP) {
        n = kind == WS ? snprintf(b, sizeof b, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Origin: %s://%s:%d\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Protocol: binary\r\n\r\n", path_, host_, port_, secure ? "https" : "http", host_, port_)
            : snprintf(b, sizeof b, "CONNECT %s HTTP/1.0\r\n\r\n", path_);
        if (sendall(s->fd, b, n)) return -1;
        char *end = 0;
        for (n = 0; !end;) {                    /* just the head: RFB may follow at once */
            ssize_t k = recv(s->fd, b + n, sizeof b - 1 - n, MSG_PEEK);
            if (k <= 0) {
                int e = errno; SAY("no answer to the request: %s\n", !k ? "closed" : e == EAGAIN ? "silent" : strerror(e));
                errno = e; return -1;
            }
            b[n + k] = 0; end = strstr(b, "\r\n\r\n");
            n += recv(s->fd, b + n, end ? end + 4 - b - n : k, 0);
        }
        b[n] = 0;
        if (kind == WS ? !strstr(b, " 101 ") || !strstr(b, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") : !strstr(b, " 200")) {
            SAY("refused: %.200s\n", b); return -1;
        }
    }
    for (int i = 0; i <= LAST; i++)
        if (want(s, turn[i].n) || (i < LAST && put(s, 2, turn[i].viewer, turn[i].m))) return -1;
    return 0;
}

/* --------------------------------------------------------------- tests -- */

static int N = 1; static uint32_t chunk = 65536, burst = 64, reply = 1400; static uint64_t total = 1 << 28;
static double secs = 2, pace = 0;
static struct ses *all;
static FILE *paths;
static char js[512], told[64];                  /* told: the driver's last line */

static void tell(const char *word, const char *json) {  /* then wait for a line; open sessions answer pings meanwhile */
    int n = all ? N : 0; struct pollfd *p = calloc(n + 1, sizeof *p);
    for (int i = 0; i <= n; i++) p[i] = (struct pollfd){i < n ? all[i].fd : 0, POLLIN, 0};
    printf("%s%s\n", word, json); fflush(stdout);
    while (poll(p, n + 1, -1) > 0 && !p[n].revents)
        for (int i = 0; i < n; i++) if (p[i].revents && get(all + i) < 0) p[i].fd = -1;
    free(p);
    if (!fgets(told, sizeof told, stdin)) exit(0);
}
static void go(void) { tell("READY", ""); }
static void done(void) { tell("DONE ", js); }
static struct ses *open_all(void) {
    struct ses *s = calloc(N, sizeof *s);
    for (int i = 0; i < N; i++) {
        if (paths && fscanf(paths, "%511s %5s", path_, name_) != 2) die("fewer lines than sessions");
        if (open_ses(s + i)) { fprintf(stderr, "session %d: ", i); die("open"); }
    }
    return all = s;
}
static int draw(struct ses *s, uint64_t bytes) {        /* whole chunks of the stream */
    uint32_t k = (bytes + chunk - 1) / chunk; s->due += (uint64_t)k * chunk; return order(s, 0, chunk, k);
}
static int type(void) { static const int mix[] = {KEY, POINTER, QEMU}; return mix[rand() % 3]; }
static int cmpd(const void *a, const void *b) { double x = *(double *)a, y = *(double *)b; return (x > y) - (x < y); }

static void t_down(void) {
    struct ses *s = open_all(); struct epoll_event ev[64], e = {.events = EPOLLIN};
    int ep = epoll_create1(0), alive = N;
    for (int i = 0; i < N; i++) { e.data.ptr = s + i; epoll_ctl(ep, EPOLL_CTL_ADD, s[i].fd, &e); }
    go(); double t = now(); uint64_t sum = 0;
    for (int i = 0; i < N; i++) draw(s + i, total / N);
    while (alive) {
        int k = epoll_wait(ep, ev, 64, 20000);
        if (k <= 0) { fprintf(stderr, "stalled\n"); exit(1); }
        for (int i = 0; i < k; i++) {
            struct ses *x = ev[i].data.ptr; ssize_t r = get(x);
            if (r < 0) { fprintf(stderr, "closed early\n"); exit(1); }
            sum += r;
            if (r && x->off >= x->due) alive--;
        }
        if (pace) { double d = t + sum / pace - now(); if (d > 0) usleep(d * 1e6); }     /* -p bytes/s */
    }
    t = now() - t; snprintf(js, sizeof js, "{\"bytes\":%lu,\"secs\":%.6f}", sum, t); done();
}

static void t_up(void) {                        /* each event in a frame of its own, burst of them in one send() */
    struct ses *s = open_all(); uint64_t rounds = (total / N + burst - 1) / burst;
    static unsigned char b[EVENTS * 18], m[12]; static size_t pos[EVENTS + 1];
    for (int k = 0; k < EVENTS; k++) pos[k + 1] = pos[k] + frame(b + pos[k], 2, m, event(m, type(), k));
    for (int i = 0; i < N; i++) {
        int sz = 65536; setsockopt(s[i].fd, SOL_SOCKET, SO_SNDBUF, &sz, sizeof sz); order(s + i, 1, rounds * burst, 1);
    }
    usleep(100000); go(); double t = now(); uint64_t sent = 0;
    for (uint64_t r = 0; r < rounds; r++) for (int i = 0; i < N; i++) {
        size_t k = r * burst % EVENTS;
        if (sendall(s[i].fd, b + pos[k], pos[k + burst] - pos[k])) die("send");
        sent += burst;
        if (pace) { double d = t + sent / pace - now(); if (d > 0) usleep(d * 1e6); }
    }
    for (int i = 0; i < N; i++) if (want(s + i, 1)) die("the last event's answer");
    t = now() - t; snprintf(js, sizeof js, "{\"messages\":%lu,\"secs\":%.6f}", sent, t); done();
}

static void t_rtt(void) {
    struct ses *s = open_all(); int cap = 2000000, n = 0; double *v = malloc(cap * sizeof *v);
    order(s, 1, 1, reply);
    for (int i = 0; i < 50; i++) if (key(s) || want(s, reply)) die("rtt");
    go();
    for (double t0 = now(), t = t0; t - t0 < secs && n < cap; n++) {
        if (pace) usleep(1e6 / pace);
        t = now(); if (key(s) || want(s, reply)) die("rtt"); v[n] = now() - t;
    }
    qsort(v, n, sizeof *v, cmpd);
    snprintf(js, sizeof js, "{\"n\":%d,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}",
             n, v[n / 2] * 1e6, v[n * 9 / 10] * 1e6, v[n * 99 / 100] * 1e6, v[n - 1] * 1e6);
    done();
}

static double t_end; static long ok_, bad_; static double lat_;
static void *setup_loop(void *_) {
    struct ses s; long ok = 0, bad = 0; double lat = 0;
    for (double t; (t = now()) < t_end;) {
        if (!open_ses(&s)) { ok++; lat += now() - t; } else bad++;
        close(s.fd);
    }
    static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mu); ok_ += ok; bad_ += bad; lat_ += lat; pthread_mutex_unlock(&mu);
    return _;
}
static void t_setup(void) {
    pthread_t th[256]; go(); double t = now(); t_end = t + secs;
    for (int i = 0; i < N; i++) pthread_create(th + i, 0, setup_loop, 0);
    for (int i = 0; i < N; i++) pthread_join(th[i], 0);
    t = now() - t;
    snprintf(js, sizeof js, "{\"connections\":%ld,\"failed\":%ld,\"secs\":%.6f,\"mean_ms\":%.3f}", ok_, bad_, t, ok_ ? lat_ / ok_ * 1e3 : 0);
    done();
}

static void t_hold(void) {                      /* each session draws one screen of 256 KiB, then idles */
    struct ses *s = open_all();
    for (int i = 0; i < N; i++) if (draw(s + i, 262144) || want(s + i, 0)) die("hold");
    go(); strcpy(js, "{}"); done();
}

static void t_slow(void) {                      /* stop reading, later prove that nothing was lost */
    struct ses *s = open_all();
    go(); all = 0; draw(s, total); usleep(secs * 1e6); strcpy(js, "{}"); done();     /* without all, tell() does not read either */
    double t = now(); int r = want(s, 0);
    snprintf(js, sizeof js, "{\"complete\":%s,\"secs\":%.3f}", r ? "false" : "true", now() - t); done();
}

static void t_check(void) {                     /* bytes survive both ways, at awkward sizes */
    static const int sz[] = {1, 2, 3, 4, 5, 7, 8, 125, 126, 127, 1000, 4095, 65535, 65536, 70001, 300000};
    static unsigned char m[300012]; struct ses *s = open_all();
    for (int r = 0; r < 3; r++) for (unsigned i = 0; i < sizeof sz / sizeof *sz; i++) {
        int n = 0, k = 0;                       /* whole events, cut in two frames: sz, rest */
        for (; n < sz[i]; k++) n += event(m + n, type(), s->sent++);
        if (order(s, 1, k, sz[i]) || put(s, 2, m, sz[i]) || (n > sz[i] && put(s, 2, m + sz[i], n - sz[i])) || want(s, sz[i])) die("check echo");
    }
    chunk = 50000;
    if (draw(s, 20000000) || want(s, 0)) die("check flood");
    go(); strcpy(js, "{\"ok\":true}"); done();
}

static void t_soak(void) {
    /* "type K": K sessions type, each -p keys a second, for -d seconds; the others answer pings.  Keys are due at fixed
       times.  If a session still waits for the answer to its last key, its next key is left out, and counts as late.
       "every": every session types one key and draws 64 KiB, which shows that it lives. */
    struct ses *s = open_all(), *x; struct epoll_event ev[256], e = {.events = EPOLLIN};
    struct pollfd p = {epoll_create1(0), POLLIN, 0};
    double *v = 0, *since = calloc(N, sizeof *since);
    for (int i = 0; i < N; i++) {
        order(s + i, 1, 1, reply); e.data.ptr = s + i; epoll_ctl(p.fd, EPOLL_CTL_ADD, s[i].fd, &e);
    }
    for (go();; done()) {
        int typing = 0, n = 0, late = 0, waiting = 0, turn = 0;
        double t = now(), at = t, end = t + secs, next = t;
        if (!strncmp(told, "every", 5)) {
            for (x = s; x < s + N; x++)
                if (key(x) || want(x, reply) || draw(x, 65536) || want(x, 0)) { fprintf(stderr, "session %d: ", (int)(x - s)); die("lost"); }
            snprintf(js, sizeof js, "{\"alive\":%d,\"secs\":%.3f}", N, now() - t);
            continue;
        }
        if (sscanf(told, "type %d", &typing) != 1 || typing > N || (typing && pace <= 0)) die("what?");
        v = realloc(v, (secs * pace * typing + N) * sizeof *v);
        for (; at < end || waiting; at = now()) {
            for (; typing && next <= at && next < end; next += 1 / (pace * typing)) {
                int i = turn++ % typing; x = s + i;
                if (since[i]) { late++; continue; }
                since[i] = now(); x->due += reply; waiting++;
                if (key(x)) { fprintf(stderr, "session %d: ", i); die("key"); }
            }
            if (at > end + 20) { fprintf(stderr, "%d sessions are silent\n", waiting); exit(1); }
            double d = (next < end && typing ? next : end > at ? end : at + 1) - now();
            struct timespec nap = {d > 0 ? (time_t)d : 0, d > 0 ? (d - (time_t)d) * 1e9 : 0};
            if (ppoll(&p, 1, &nap, 0) <= 0) continue;
            for (int i = 0, k = epoll_wait(p.fd, ev, 256, 0); i < k; i++) {
                x = ev[i].data.ptr; double *from = since + (x - s);
                errno = 0; if (get(x) < 0) { fprintf(stderr, "session %d: ", (int)(x - s)); die("lost"); }
                if (*from && x->off >= x->due) { v[n++] = now() - *from; *from = 0; waiting--; }
            }
        }
        qsort(v, n, sizeof *v, cmpd);
        int m = n ? n - 1 : 0; if (!n) v[0] = 0;
        snprintf(js, sizeof js, "{\"n\":%d,\"late\":%d,\"secs\":%.6f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f}",
                 n, late, now() - t, v[n / 2 < m ? n / 2 : m] * 1e6, v[n * 99ul / 100] * 1e6, v[m] * 1e6);
    }
}

int main(int c, char **v) {
    struct { const char *n; void (*f)(void); } t[] = {{"down", t_down}, {"up", t_up}, {"rtt", t_rtt},
        {"setup", t_setup}, {"hold", t_hold}, {"slow", t_slow}, {"check", t_check}, {"soak", t_soak}};
    struct rlimit rl = {20000, 20000}; setrlimit(RLIMIT_NOFILE, &rl); signal(SIGPIPE, SIG_IGN);
    fill_stream();
    if (c < 3) { fprintf(stderr, "see the head of wsload.c\n"); return 2; }
    optind = 3;
    for (int o; (o = getopt(c, v, "n:c:t:b:d:r:p:f:")) != -1;) switch (o) {
        case 'n': N = atoi(optarg); break; case 'c': chunk = atoi(optarg); break;
        case 't': total = atoll(optarg); break; case 'b': burst = atoi(optarg); break;
        case 'd': secs = atof(optarg); break; case 'r': reply = atoi(optarg); break;
        case 'p': pace = atof(optarg); break;
        case 'f': if (!(paths = fopen(optarg, "r"))) die(optarg); break; default: return 2; }
    if (!strcmp(v[1], "backend")) backend(atoi(v[2]), N);
    parse_url(v[2]);
    for (unsigned i = 0; i < sizeof t / sizeof *t; i++) if (!strcmp(v[1], t[i].n)) { t[i].f(); return 0; }
    return 2;
}
