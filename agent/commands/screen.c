// The terminal, taken and given back. A parent waits for the process that draws: it restores the terminal after a crash, for
// which a signal handler would need global state, and after SIGKILL, for which there is no handler. When the parent is killed, the
// child does.
#include "agent/commands/screen.h"

#include "agent/cli/cli.h"
#include "port/port.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

enum { FRAME_BYTES_MAX = 1024 * 1024, COLUMNS_UNKNOWN = 80, ROWS_UNKNOWN = 24 };

struct ut_screen {
    int signals; // signalfd
    ut_buf frame;
};

// The other screen, without a cursor, lines cut at the edge; and back.
static const char take_z[] = "\033[?1049h\033[?25l\033[?7l\033[H\033[2J";
static const char give_z[] = "\033[?7h\033[?25h\033[?1049l";

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

static struct termios raw_of(const struct termios *before)
{
    struct termios raw = *before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    return raw;
}

static void take_terminal(const struct termios *before)
{
    const struct termios raw = raw_of(before);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    (void)write_all(take_z,
                    sizeof(take_z) - 1); // a terminal that is gone shows with the first frame
}

static void give_terminal(const struct termios *before)
{
    (void)write_all(give_z, sizeof(give_z) - 1);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, before);
}

// For the child, when nobody waits for it any more. A shell that has the terminal again has put its own
// settings there, and they stay.
static void give_terminal_alone(const struct termios *before)
{
    const struct termios raw = raw_of(before);
    struct termios now;
    (void)signal(SIGTTOU, SIG_IGN); // we may be in the background by now
    if (tcgetattr(STDIN_FILENO, &now) == 0 && now.c_lflag == raw.c_lflag &&
        now.c_iflag == raw.c_iflag)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, before);
    (void)write_all(give_z, sizeof(give_z) - 1);
}

static sigset_t watched_signals(void)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        (void)sigaddset(&signals, numbers[i]);
    return signals;
}

static int draw_in_child(int (*body)(void *context, ut_screen *screen), void *context, pid_t parent,
                         const struct termios *before)
{
    const sigset_t signals = watched_signals();
    ut_screen screen = {.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)};
    int code = EX_OSERR;
    // So that nothing is left drawing when the parent is killed.
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    ut_buf_init(&screen.frame, FRAME_BYTES_MAX);
    if (screen.signals >= 0 && getppid() == parent)
        code = body(context, &screen);
    ut_buf_free(&screen.frame);
    if (screen.signals >= 0)
        (void)close(screen.signals);
    if (getppid() != parent)
        give_terminal_alone(before);
    return code;
}

// Waits for the child; signals to end are passed on to it.
static int wait_for_child(pid_t child, const sigset_t *signals)
{
    for (;;) {
        int status = 0;
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (ended < 0 && errno != EINTR)
            return EX_OSERR;
        siginfo_t info;
        const int number = sigwaitinfo(signals, &info);
        // What the terminal sends reaches both; what it has from elsewhere is for us only.
        if (number > 0 && number != SIGCHLD && number != SIGWINCH && info.si_code <= 0)
            (void)kill(child, number);
    }
}

int ut_screen_run(int (*body)(void *context, ut_screen *screen), void *context)
{
    struct termios before;
    sigset_t signals = watched_signals();
    sigset_t signals_before;
    // Whoever started us may ignore SIGCHLD; then the end of the child would go by unseen.
    const struct sigaction noticed = {.sa_handler = SIG_DFL};
    struct sigaction child_before;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return EX_OSERR;
    (void)sigaddset(&signals, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &signals, &signals_before);
    (void)sigaction(SIGCHLD, &noticed, &child_before);
    (void)fflush(NULL);
    const pid_t parent = getpid();
    take_terminal(&before);
    const pid_t child = fork();
    if (child == 0)
        exit(draw_in_child(body, context, parent, &before));
    const int code = child < 0 ? EX_OSERR : wait_for_child(child, &signals);
    give_terminal(&before);
    (void)sigaction(SIGCHLD, &child_before, NULL);
    (void)sigprocmask(SIG_SETMASK, &signals_before, NULL);
    return code;
}

ut_screen_event ut_screen_wait(ut_screen *screen, uint64_t deadline_ms, int *key)
{
    for (;;) {
        const uint64_t now_ms = ut_clock_mono_ms();
        const uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
        struct pollfd wanted[2] = {{.fd = screen->signals, .events = POLLIN},
                                   {.fd = STDIN_FILENO, .events = POLLIN}};
        *key = 0;
        const int ready = poll(wanted, 2, left_ms > 60000 ? 60000 : (int)left_ms);
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
            uint8_t byte = 0;
            const ssize_t n = read(STDIN_FILENO, &byte, 1);
            if (n <= 0)
                return UT_SCREEN_END;
            *key = byte;
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
