# Untrace Agent. `make help` lists the targets, CONTRIBUTING.md says how to work with them,
# docs/DEPENDENCIES.md where the libraries come from.

VERSION = 0.1.0

# As many jobs as there are processors, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# Where things go. Two builds at the same time need two BUILD directories; they may share DEPS_DIR.
BUILD    ?= build
DEPS_DIR ?= build/deps
HOST     := $(shell uname -m)-linux-musl
TARGET   ?= $(HOST)
DESTDIR  ?=
PREFIX   ?= /usr/local

# ---- One compiler and one set of flags for each KIND of build ------------------------------------
# musl: the product and its unit tests. debug: the same for a debugger. asan, tsan, fuzz, coverage:
# the same sources for this machine's libc, instrumented. qemu: as musl, with what LMDB needs to run
# under user-mode emulation.
KIND ?= musl

triplet.x86_64-linux-musl      = x86_64-linux-gnu
triplet.aarch64-linux-musl     = aarch64-linux-gnu
triplet.armv7-linux-musleabihf = arm-linux-gnueabihf
triplet.riscv64-linux-musl     = riscv64-linux-gnu
flags.aarch64-linux-musl       = -mno-outline-atomics
libs.riscv64-linux-musl        = -latomic
qemu.aarch64-linux-musl        = qemu-aarch64-static
qemu.armv7-linux-musleabihf    = qemu-arm-static
qemu.riscv64-linux-musl        = qemu-riscv64-static
CROSS_TARGETS = aarch64-linux-musl armv7-linux-musleabihf riscv64-linux-musl

# V=1 shows whole command lines.
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2);)

WERROR = -Werror
RUNNER =
ifneq (,$(filter asan tsan fuzz coverage,$(KIND)))
  OUT      = $(BUILD)/$(KIND)
  from     = native
  OPTIMISE = -O1 -fno-omit-frame-pointer
  SANITISE = $(sanitise.$(KIND))
else
  OUT      = $(BUILD)/$(TARGET)$(if $(filter qemu debug,$(KIND)),-$(KIND))
  from     = $(TARGET)
  OPTIMISE = $(if $(filter debug,$(KIND)),-O0 -fno-omit-frame-pointer,-O2)
  SANITISE =
  # Nothing unwinds a stack inside the program; a debugger reads the tables that -g makes.
  UNWIND   = -fno-asynchronous-unwind-tables
endif
cc.asan           = gcc
cc.tsan           = gcc
cc.coverage       = gcc
cc.fuzz           = $(shell command -v clang || command -v clang-14 || echo clang)
sanitise.asan     = -fsanitize=address,undefined -fno-sanitize-recover=all
sanitise.tsan     = -fsanitize=thread
sanitise.fuzz     = -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
sanitise.coverage = --coverage -fprofile-update=atomic

ifdef DEPS_PREFIX
  # Somebody else prepared the libraries and the compiler (Yocto, Buildroot, Alpine).
  deps   = $(DEPS_PREFIX)
  OUT    = $(BUILD)/prefix$(if $(SANITISE),-$(KIND))
  WERROR =
  STATIC ?= -static
else
  deps   = $(DEPS_DIR)/$(from)/prefix
  stamp  = $(deps)/.stamp
  ifdef SANITISE
    CC     = $(cc.$(KIND))
    STATIC =
  else
    cross  = $(if $(filter $(TARGET),$(HOST)),,$(triplet.$(TARGET))-)
    CC     = $(cross)gcc
    AR     = $(cross)ar
    specs  = -specs $(deps)/lib/musl-gcc.specs
    STATIC = -static -no-pie
    RUNNER = $(if $(filter qemu,$(KIND)),$(qemu.$(TARGET)))
  endif
endif

WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
           -Wpointer-arith -Wcast-qual -Wwrite-strings
CPPFLAGS_ALL = -I. -isystem $(deps)/include -DUT_VERSION='"$(VERSION)"' $(CPPFLAGS)
CFLAGS_ALL   = -std=c11 $(OPTIMISE) -g $(UNWIND) -ffunction-sections -fdata-sections \
               -fstack-protector-strong $(WARNINGS) $(WERROR) $(flags.$(TARGET)) $(specs) \
               $(SANITISE) $(CFLAGS)
LDFLAGS_ALL  = $(flags.$(TARGET)) $(specs) $(STATIC) $(SANITISE) -Wl,--gc-sections -L$(deps)/lib \
               $(LDFLAGS)
# A stock mbedTLS comes in three archives, a stock LZ4 without xxHash's names.
LIBS = -llmdb -llz4 $(call if_has,xxhash) -ldeflate -lyaml -lyyjson -lllhttp \
       -lmbedtls $(call if_has,mbedx509) $(call if_has,mbedcrypto) -pthread $(libs.$(TARGET))
if_has = $(if $(wildcard $(deps)/lib/lib$(1).a $(deps)/lib/lib$(1).so),-l$(1))

# ---- What there is to build ----------------------------------------------------------------------
ROOMS   = port/base port/linux storage adapters transport agent
SOURCES = $(filter-out agent/main.c,$(sort $(wildcard $(ROOMS:%=%/*.c) $(ROOMS:%=%/*/*.c))))
OBJECTS = $(SOURCES:%.c=$(OUT)/obj/%.o)
LIB     = $(OUT)/libuntrace.a

SHIM     = tests/support/qemu_robust.c
SUPPORT  = $(filter-out $(SHIM),$(wildcard tests/support/*.c))
HELPERS  = $(OUT)/libsupport.a
folders  = tests/unit tests/unit/* tests/unit/*/* tests/unit/*/*/*
TESTS    = $(sort $(wildcard $(addsuffix /test_*.c,$(folders))))
# A .c file beside tests that is no test itself is linked into each test of its folder.
BESIDE   = $(filter-out $(TESTS),$(sort $(wildcard $(addsuffix /*.c,$(folders)))))
FUZZERS  = $(sort $(wildcard tests/fuzz/fuzz_*.c))
# T=test_span (or fuzz_otlp, or several) picks some.
picked   = $(if $(T),$(filter $(addprefix %/,$(addsuffix .c,$(T))),$(1)),$(1))
PROGRAMS = $(patsubst %.c,$(OUT)/%,$(call picked,$(TESTS)))
FUZZ     = $(patsubst tests/fuzz/%.c,$(OUT)/%,$(call picked,$(FUZZERS)))

POWERCUT = $(patsubst %.c,$(OUT)/obj/%.o,$(wildcard tests/powercut/*.c))
BENCHES  = $(patsubst tests/bench/%.c,$(OUT)/bench/%,$(wildcard tests/bench/*.c))

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: all program lib deps debug format run test test-fast test-deep check coverage \
        unit unit-asan unit-tsan tsan-short tsan-short-programs unit-programs bench-programs crash \
        powercut soak fuzz fuzz-short fuzz-programs ask e2e lint bench cross size install uninstall \
        image clean help

## all: build/untrace, the static program for this machine; lib: only its library, without main
all: program
lib: $(LIB)
deps: $(stamp)
program: $(OUT)/untrace $(if $(filter $(OUT),$(BUILD)/$(HOST) $(BUILD)/prefix),$(BUILD)/untrace)

$(BUILD)/untrace: $(OUT)/untrace
	@cp $<.debug $@.debug && cp $< $@.tmp && mv $@.tmp $@

shim = $(if $(filter qemu,$(KIND)),$(SHIM:%.c=$(OUT)/obj/%.o))
# The product is stripped; what a debugger needs to read its memory stands beside it in untrace.debug.
STRIPPED = $(if $(SANITISE)$(filter debug,$(KIND)),,yes)
objcopy  = $(shell $(CC) -print-prog-name=objcopy)
$(OUT)/untrace: $(OUT)/obj/agent/main.o $(shim) $(LIB)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)
	$(if $(STRIPPED),@$(objcopy) --only-keep-debug $@ $@.debug)
	$(if $(STRIPPED),@$(objcopy) --strip-all --add-gnu-debuglink=$@.debug $@)

## debug: build/TARGET-debug/untrace, static as the product, for a debugger: -O0, frame pointers, symbols
debug:
	@$(MAKE) --no-print-directory KIND=debug program
	@echo $(BUILD)/$(TARGET)-debug/untrace

$(LIB): $(OBJECTS)
	@mkdir -p $(@D) && rm -f $@
	$(call say,AR,$@)$(AR) rcsD $@ $^

$(HELPERS): $(SUPPORT:%.c=$(OUT)/obj/%.o)
	@mkdir -p $(@D) && rm -f $@
	$(call say,AR,$@)$(AR) rcsD $@ $^

# The seam to Linux, the daemon and the tests may use what the system has; the rooms between may not.
$(OUT)/obj/port/linux/%.o $(OUT)/obj/agent/%.o $(OUT)/obj/tests/%.o: private CPPFLAGS += -D_GNU_SOURCE=
# Folders that run for a person, at the start or once in a while are built for size, the rest for
# speed.
SMALL = agent/cli agent/commands agent/config agent/control agent/daemon agent/files agent/process \
        agent/query adapters/state storage/upkeep
SMALL_FILES = adapters/plain/llm_message port/base/nearest port/linux/addr port/linux/resolver \
              storage/lmdb/engine_lmdb_compact storage/lmdb/engine_lmdb_disk storage/lmdb/engine_lmdb_env \
              storage/lmdb/engine_lmdb_steady storage/lmdb/lmdb_file storage/lmdb/plain_file \
              storage/query/query_cursor storage/query/trace_tree transport/http/url
ifeq ($(OPTIMISE),-O2)
$(SMALL:%=$(OUT)/obj/%/%.o): private OPTIMISE = -Os
$(SMALL_FILES:%=$(OUT)/obj/%.o): private OPTIMISE = -Os
# Most of the bytes of OTLP JSON pass otlp_json_stream_value.c and json_scan.c alone.
$(patsubst %,$(OUT)/obj/adapters/otlp/otlp_json_%.o,decode member stream): private OPTIMISE = -Os
endif
# Only musl's own memory functions are worth replacing, and never under a sanitizer or a foreign libc.
ifeq ($(KIND)$(TARGET)$(DEPS_PREFIX),muslx86_64-linux-musl)
$(OUT)/obj/port/linux/memory_x86_64.o: private CPPFLAGS += -DUT_OWN_MEMORY=1
endif
# cmocka.h would define uintptr_t itself where it does not find the name.
$(OUT)/obj/tests/%.o: private CPPFLAGS += -DHAVE_UINTPTR_T

$(OUT)/obj/%.o: %.c Makefile $(stamp)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP -c $< -o $@

$(OUT)/tests/unit/%: $(OUT)/obj/tests/unit/%.o $(shim) $(HELPERS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter %.a,$^) -lcmocka $(LIBS)
tests_beside = $(patsubst %.c,$(OUT)/%,$(filter $(dir $(1))test_%,$(TESTS)))
$(foreach file,$(BESIDE),$(eval $(call tests_beside,$(file)): $(OUT)/obj/$(file:.c=.o)))

# Calls of the C library that this test makes fail.
comma = ,
failing = pwrite pwritev write writev fdatasync fsync ftruncate rename mmap malloc calloc realloc open
$(OUT)/tests/unit/storage/lmdb/test_faults: private LDFLAGS_ALL += $(failing:%=-Wl$(comma)--wrap=%)

# Calls that these tests count (tests/support/holdings.h).
counting = malloc calloc realloc free
counted  = transport/http/http_server transport/deliver/dispatcher
$(counted:%=$(OUT)/tests/unit/%/%): private LDFLAGS_ALL += $(counting:%=-Wl$(comma)--wrap=%)

$(OUT)/fuzz_%: $(OUT)/obj/tests/fuzz/fuzz_%.o $(HELPERS) $(LIB)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(OUT)/bench/%: $(OUT)/obj/tests/bench/%.o $(HELPERS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

$(OUT)/crash/%: $(OUT)/obj/tests/crash/%.o $(HELPERS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# Calls that change files, which this program hears, and that would make two runs differ.
recorded = open close pwrite pwritev write writev fdatasync fsync ftruncate fallocate rename link \
           unlink mkdir mmap munmap getrandom
$(OUT)/powercut/powercut: private LDFLAGS_ALL += $(recorded:%=-Wl$(comma)--wrap=%)
$(OUT)/powercut/powercut: $(POWERCUT) $(HELPERS) $(LIB)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

ifdef stamp
$(stamp): tools/deps tools/mbedtls_config.h
	DEPS_DIR=$(DEPS_DIR) tools/deps $(from)
endif

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)

# ---- Tests ---------------------------------------------------------------------------------------
unit-programs: $(PROGRAMS)
bench-programs: $(BENCHES)
fuzz-programs: $(FUZZ)

## unit: unit tests of the static build; T=test_span picks some
unit: unit-programs
	@tools/run-unit $(OUT) "$(RUNNER)" $(PROGRAMS)

## unit-asan: the same under the address and undefined-behaviour sanitizers; unit-tsan: thread sanitizer
unit-asan:
	@$(MAKE) --no-print-directory KIND=asan unit
unit-tsan:
	@$(MAKE) --no-print-directory KIND=tsan unit

# Threads meet in these; the rest of the unit tests has one thread.
THREADED = port/test_log% port/test_resolver% storage/lmdb/test_engine% storage/lmdb/engine/% \
           transport/http/test_http_server% transport/http/http_server/% agent/threads/% \
           transport/deliver/test_dispatch% transport/deliver/dispatcher/%
## tsan-short: the unit tests that have several threads, under the thread sanitizer
tsan-short tsan-short-programs:
	@$(MAKE) --no-print-directory KIND=tsan $(@:tsan-short%=unit%) \
	    T='$(basename $(notdir $(filter $(THREADED:%=tests/unit/%),$(TESTS))))'

## coverage: how much of each room the unit tests execute
coverage:
	@find $(BUILD)/coverage/obj -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory KIND=coverage unit
	@tools/coverage $(BUILD)/coverage

## check: what changed since main: build, unit tests of its folders, format, includes, clang-tidy
check: program
	@tools/setup build lint
	@tests=$$(tools/changed tests) && \
	    if [ -n "$$tests" ]; then $(MAKE) --no-print-directory unit T="$$tests"; fi
	@files=$$(tools/changed files) && $(MAKE) --no-print-directory KIND=asan deps && \
	    ONLY="$${files:-none}" $(lint) includes format length tidy

## compile_commands.json: for clangd and other readers of sources
compile_commands.json: FORCE
	@$(MAKE) --no-print-directory -nB V=1 KIND=asan program unit-programs fuzz-programs bench-programs | \
	    tools/compile-commands >$@.tmp && mv $@.tmp $@
FORCE:

## fuzz: every decoder for FUZZ_SECONDS (60) each; fuzz-short: for 8 s each. Finds go to build/fuzz
FUZZ_SECONDS ?= 60
fuzz:
	@$(MAKE) --no-print-directory KIND=fuzz fuzz-programs
	@tools/run-fuzz $(BUILD)/fuzz $(FUZZ_SECONDS) $(T)
fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=8

## crash: kills a writer to a store CRASH_ROUNDS times, reads one from five processes CRASH_SECONDS
CRASH_ROUNDS  ?= 1000
CRASH_SECONDS ?= 60
crash: $(OUT)/crash/kill_store $(OUT)/crash/readers
	$(RUNNER) $(OUT)/crash/kill_store $(CRASH_ROUNDS)
	$(RUNNER) $(OUT)/crash/readers $(CRASH_SECONDS)

## soak: hostile traffic for MINUTES (60): the memory at rest must not rise; SEED
soak: program
	tests/soak/soak.py $(OUT)/untrace $(or $(MINUTES),60)

## powercut: cuts the power IMAGES (1000) times or for MINUTES; SEED, SCENARIO, RUN_STEPS; or REPLAY=
IMAGES ?= 1000
powercut: $(OUT)/powercut/powercut
	$(RUNNER) $< $(if $(REPLAY),-r $(REPLAY),-n $(IMAGES) $(if $(MINUTES),-m $(MINUTES)) \
	    $(if $(SEED),-s $(SEED)) $(if $(SCENARIO),-t $(SCENARIO)) $(if $(RUN_STEPS),-l $(RUN_STEPS)))

## ask: N (1000) random questions against what QUERY.md says; SEED, STATE, ONLY
N ?= 1000
ask: program
	$(BUILD)/venv/bin/python tests/ask/asking.py --questions $(N) $(if $(SEED),--seed $(SEED)) \
	    $(if $(STATE),--state $(STATE)) $(if $(ONLY),--only $(ONLY))

## e2e: the program against real SDKs and a real Collector (pytest; PYTEST_ARGS=...)
e2e: program
	$(if $(wildcard tests/e2e/setup),tests/e2e/setup)
	$(BUILD)/venv/bin/pytest tests/e2e $(PYTEST_ARGS)

## test: set-up, build and all of the above: test-fast (program, unit), test-deep (the rest), e2e
test:
	@$(MAKE) --no-print-directory test-fast
	@$(MAKE) --no-print-directory test-deep
	@$(MAKE) --no-print-directory e2e
test-fast test-deep:
	tools/setup build test
	@$(foreach step,$($@),$(MAKE) --no-print-directory $(step) &&) true
test-fast = program unit
test-deep = unit-asan tsan-short crash powercut fuzz-short
test-deep: export CRASH_ROUNDS  = 100
test-deep: export CRASH_SECONDS = 8
test-deep: export IMAGES        = 500

## run: a central and an edge agent on this machine, with sample traces; ONCE=1 stops when they arrived
run:
	tools/setup build
	@$(MAKE) --no-print-directory program
	ONCE=$(ONCE) tools/demo

## lint: two compilers, clang-tidy, format, includes, manual page, Cortex-M3; STEPS="format tidy" picks
lint = WARNINGS='$(WARNINGS)' VERSION=$(VERSION) BUILD=$(BUILD) DEPS=$(DEPS_DIR)/native/prefix tools/lint
lint:
	@tools/setup build lint
	@$(MAKE) --no-print-directory KIND=asan deps
	@$(lint) $(STEPS)

## format: formats the sources as lint wants them
format:
	find port storage adapters transport agent tests tools -name '*.[ch]' | \
	    xargs "$$(tools/clang-tool format)" -i

## bench: speed, memory, bytes, syncs; BENCH_CASES="store edge", BASE=FILE, OLD=PROGRAM
bench: program $(BENCHES)
	BUILD=$(BUILD) BENCH_BIN=$(OUT)/bench tests/bench/run

## cross: aarch64, armv7 and riscv64 programs; unit and end-to-end tests under emulation
cross:
	@rc=0; for target in $(CROSS_TARGETS); do \
	    if $(MAKE) --no-print-directory cross-$$target; then echo "cross: $$target passed"; \
	    else echo "cross: $$target FAILED"; rc=1; fi; done; exit $$rc
cross-%:
	tools/setup build cross
	@$(MAKE) --no-print-directory TARGET=$* program
	@FAULT_STRIDE=7 $(MAKE) --no-print-directory TARGET=$* KIND=qemu program unit
	tests/cross/run $* $(BUILD) $(qemu.$*)

## size: bytes of the program, against its limit
size: program
	tools/size $(OUT)/untrace

# What `make install` lays down: the file below DESTDIR, and what it is made from. A program for
# another machine cannot be asked for its completion scripts here.
SYSCONFDIR ?= /etc
BESIDES     = port/linux/install
share       = $(PREFIX)/share
words.bash  = $(share)/bash-completion/completions/untrace
words.zsh   = $(share)/zsh/site-functions/_untrace
words.fish  = $(share)/fish/vendor_completions.d/untrace.fish
unit        = $(PREFIX)/lib/systemd/system/untrace.service
sysusers    = $(PREFIX)/lib/sysusers.d/untrace.conf
tmpfiles    = $(PREFIX)/lib/tmpfiles.d/untrace.conf
man1        = $(share)/man/man1/untrace.1
man5        = $(share)/man/man5/untrace.yaml.5
INSTALLED   = $(PREFIX)/bin/untrace $(man1) $(man5) $(words.bash) $(words.zsh) $(words.fish) \
              $(unit) $(sysusers) $(tmpfiles)
config      = $(DESTDIR)$(SYSCONFDIR)/untrace/untrace.yaml
made        = install -D -m 644 /dev/stdin $(DESTDIR)
## install: program, manual, completion, systemd files, example configuration: DESTDIR, PREFIX, SYSCONFDIR
install: program
	install -D -m 755 $(OUT)/untrace $(DESTDIR)$(PREFIX)/bin/untrace
	install -D -m 644 docs/untrace.1 $(DESTDIR)$(man1)
	tools/config-man | $(made)$(man5)
	@$(foreach shell,bash zsh fish,words=$$($(OUT)/untrace completion $(shell)) && \
	    printf '%s\n' "$$words" | $(made)$(words.$(shell));) true
	sed 's:@PREFIX@:$(PREFIX):' $(BESIDES)/untrace.service | $(made)$(unit)
	install -D -m 644 $(BESIDES)/sysusers.conf $(DESTDIR)$(sysusers)
	install -D -m 644 $(BESIDES)/tmpfiles.conf $(DESTDIR)$(tmpfiles)
	test -e $(config) || install -D -m 644 $(BESIDES)/untrace.yaml $(config)

## uninstall: removes what `make install` laid down, but for configuration and data
uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)%)

## image: build/image, the folder that port/linux/install/Dockerfile makes an image of
IMAGE = $(BUILD)/image
image: program
	rm -rf $(IMAGE)
	install -D -m 755 $(OUT)/untrace $(IMAGE)/usr/bin/untrace
	install -D -m 644 $(BESIDES)/image.yaml $(IMAGE)/etc/untrace/untrace.yaml
	install -D -m 644 /etc/ssl/certs/ca-certificates.crt $(IMAGE)/etc/ssl/certs/ca-certificates.crt
	install -d -m 700 $(IMAGE)/var/lib/untrace

## clean: removes what was compiled here; the libraries and test tools stay (rm -r build removes all)
clean:
	rm -rf $(filter-out $(BUILD)/deps $(BUILD)/venv $(BUILD)/e2e,$(wildcard $(BUILD)/*))

help:
	@sed -n 's/^## /  make /p' Makefile
	@echo '  variables: BUILD=DIR (build), T=test_name, DEPS_PREFIX=DIR with CC= (docs/DEPENDENCIES.md)'
