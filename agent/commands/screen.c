// The terminal, taken and given back by the process that draws on it. Signals that ask to stop are
// read from a descriptor, so that the terminal is given back in the ordinary way; a handler gives
// it back after a crash. SIGKILL leaves it raw, on the other screen: `reset` in the shell helps
// then.
#include "agent/commands/screen.h"

#include "port/port.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum {
    FRAME_BYTES_MAX = 1024 * 1024,
    COLUMNS_UNKNOWN = 80,
    ROWS_UNKNOWN = 24,
    WAIT_MS_MAX = 60 * 1000,
    KEY_BYTES_MAX = 16,
    // Terminal flags that are off while the screen is taken.
    LOCAL_FLAGS = ICANON | ECHO | ISIG | IEXTEN,
    INPUT_FLAGS = IXON | ICRNL,
};

struct ut_screen {
    int signals; // signalfd
    ut_buf frame;
};

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
enum {
    STOP_SIGNALS = sizeof(stop_signals) / sizeof(stop_signals[0]),
    CRASH_SIGNALS = sizeof(crash_signals) / sizeof(crash_signals[0]),
};

static bool write_all(const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        const ssize_t n = write(STDOUT_FILENO, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        at += n;
        len -= (size_t)n;
    }
    return true;
}

// Switches to the other screen, without a cursor, lines cut at the edge.
static void take_terminal(const struct termios *before)
{
    static const char take_z[] = "\033[?1049h\033[?25l\033[?7l\033[H\033[2J";
    struct termios raw = *before;
    raw.c_lflag &= ~(tcflag_t)LOCAL_FLAGS;
    raw.c_iflag &= ~(tcflag_t)INPUT_FLAGS;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    (void)write_all(take_z, sizeof(take_z) - 1); // the first frame shows a terminal that is gone
}

static void give_terminal(const struct termios *before)
{
    static const char give_z[] = "\033[?7h\033[?25h\033[?1049l";
    (void)write_all(give_z, sizeof(give_z) - 1);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, before);
}

// A handler knows nothing of what the terminal was before (that would be a mutable global), so it
// switches everything on that take_terminal switches off.
static void on_crash(int number)
{
    struct termios usual;
    if (tcgetattr(STDIN_FILENO, &usual) == 0) {
        usual.c_lflag |= LOCAL_FLAGS;
        usual.c_iflag |= INPUT_FLAGS;
        give_terminal(&usual);
    }
    (void)raise(number); // the default action is back (SA_RESETHAND)
}

int ut_screen_run(int (*body)(void *context, ut_screen *screen), void *context)
{
    struct termios before;
    sigset_t stop;
    sigset_t mask_before;
    struct sigaction crash_before[CRASH_SIGNALS];
    struct sigaction crash = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return EX_OSERR;
    (void)sigemptyset(&crash.sa_mask);
    (void)sigemptyset(&stop);
    for (size_t i = 0; i < STOP_SIGNALS; i++)
        (void)sigaddset(&stop, stop_signals[i]);
    ut_screen screen = {.signals = signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK)};
    if (screen.signals < 0)
        return EX_OSERR;
    ut_buf_init(&screen.frame, FRAME_BYTES_MAX);
    (void)sigprocmask(SIG_BLOCK, &stop, &mask_before);
    for (size_t i = 0; i < CRASH_SIGNALS; i++)
        (void)sigaction(crash_signals[i], &crash, &crash_before[i]);
    take_terminal(&before);
    const int code = body(context, &screen);
    give_terminal(&before);
    for (size_t i = 0; i < CRASH_SIGNALS; i++)
        (void)sigaction(crash_signals[i], &crash_before[i], NULL);
    (void)sigprocmask(SIG_SETMASK, &mask_before, NULL);
    (void)close(screen.signals);
    ut_buf_free(&screen.frame);
    return code;
}

// The key whose bytes came at once: ESC and more are one key. Of several keys the last counts.
static int key_of(const uint8_t *bytes, size_t len)
{
    static const struct {
        const char *bytes_z;
        int key;
    } known[] = {
        {"\033[A", UT_SCREEN_UP},       {"\033[B", UT_SCREEN_DOWN},
        {"\033OA", UT_SCREEN_UP},       {"\033OB", UT_SCREEN_DOWN},
        {"\033[5~", UT_SCREEN_PAGE_UP}, {"\033[6~", UT_SCREEN_PAGE_DOWN},
        {"\033[H", UT_SCREEN_HOME},     {"\033OH", UT_SCREEN_HOME},
        {"\033[1~", UT_SCREEN_HOME},
    };
    size_t from = len;
    while (from > 0 && bytes[from - 1] != '\033')
        from--;
    if (from == 0) // no ESC
        return bytes[len - 1];
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (ut_bytes_equal(ut_bytes_of(bytes + from - 1, len - from + 1),
                           ut_bytes_of_z(known[i].bytes_z)))
            return known[i].key;
    }
    return UT_SCREEN_OTHER;
}

ut_screen_event ut_screen_wait(ut_screen *screen, uint64_t deadline_ms, int *key)
{
    for (;;) {
        const uint64_t now_ms = ut_clock_mono_ms();
        const uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        struct pollfd wanted[2] = {{.fd = screen->signals, .events = POLLIN},
                                   {.fd = STDIN_FILENO, .events = POLLIN}};
        *key = 0;
        const int ready = poll(wanted, 2, left_ms > WAIT_MS_MAX ? WAIT_MS_MAX : (int)left_ms);
        if (ready < 0 && errno != EINTR)
            return UT_SCREEN_END;
        if (ready <= 0) {
            if (ut_clock_mono_ms() >= deadline_ms)
                return UT_SCREEN_TIME;
            continue;
        }
        struct signalfd_siginfo info;
        if (wanted[0].revents != 0 && read(screen->signals, &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo == SIGWINCH)
                return UT_SCREEN_RESIZE;
            *key = (int)info.ssi_signo;
            return UT_SCREEN_END;
        }
        if (wanted[1].revents != 0) {
            uint8_t bytes[KEY_BYTES_MAX];
            const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
            if (n <= 0)
                return UT_SCREEN_END;
            *key = key_of(bytes, (size_t)n);
            return UT_SCREEN_KEY;
        }
    }
}

void ut_screen_size(const ut_screen *screen, uint32_t *columns, uint32_t *rows)
{
    (void)screen;
    struct winsize size;
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    *columns = known && size.ws_col > 0 ? size.ws_col : COLUMNS_UNKNOWN;
    *rows = known && size.ws_row > 0 ? size.ws_row : ROWS_UNKNOWN;
}

bool ut_screen_draw(ut_screen *screen, ut_bytes lines)
{
    uint32_t columns = 0;
    uint32_t rows = 0;
    uint32_t row = 0;
    ut_buf *frame = &screen->frame;
    ut_screen_size(screen, &columns, &rows);
    ut_buf_reset(frame, FRAME_BYTES_MAX);
    ut_buf_add_z(frame, "\033[H");
    while (lines.len > 0 && row < rows) {
        const uint8_t *newline = memchr(lines.data, '\n', lines.len);
        const size_t len = newline == NULL ? lines.len : (size_t)(newline - lines.data);
        if (row++ > 0)
            ut_buf_add_z(frame, "\r\n");
        ut_buf_add(frame, lines.data, len);
        ut_buf_add_z(frame, "\033[K");
        const size_t passed = newline == NULL ? len : len + 1;
        lines.data += passed;
        lines.len -= passed;
    }
    ut_buf_add_z(frame, "\033[J");
    return frame->err == UT_OK && write_all(frame->data, frame->len);
}
