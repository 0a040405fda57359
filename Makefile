# moth: one Makefile, wildcards instead of lists. `make help` says what there is.
#
# Everything that is built goes to $(BUILD). Other configurations (sanitizers, another compiler) are the same rules with
# another BUILD and other flags, so they never mix with the release build.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
OPT     ?= -O3
SAN     ?=
WERROR  ?=
# GNU make's built-in CC is "cc"; the kernels are tuned with gcc, so that is the default where it exists.
ifeq ($(origin CC),default)
CC := $(if $(shell command -v gcc),gcc,cc)
endif
HOSTCC      ?= $(CC)
PKG_CONFIG  ?= pkg-config
# One short line a command; V=1 shows the whole command.
Q   := $(if $(V),,@)
say  = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)')

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

# ---- what is there -------------------------------------------------------------------------------------------------

PARTS     := core tensor graph autograd plan nn train io
ONCE_C    := $(wildcard $(PARTS:%=engine/%/*.c)) $(wildcard engine/ops/*/*.c)
API_C     := $(wildcard engine/api/*.c)
OPS_C     := $(wildcard engine/ops/*.c)
BINDING_C := $(filter-out bindings/main.c bindings/embed.c,$(wildcard bindings/*.c))
LUA_SRC   := $(wildcard bindings/moth/*.lua)
TEST_C    := $(wildcard tests/engine/test_*.c)
HELPER_C  := $(filter-out $(TEST_C),$(wildcard tests/engine/*.c))
EXAMPLE_C := $(wildcard docs/*.c)
PTY_C     := $(wildcard tests/pty/test_*.c)
HOST_C    := $(wildcard tests/binding/test_*.c)
FUZZ_C    := $(wildcard tests/fuzz/fuzz_*.c)
# Gradients are compared with finite differences, which needs the build whose real type is double.
GRAD_C    := $(filter tests/engine/test_grad%,$(TEST_C))
FLOAT_C   := $(filter-out $(GRAD_C),$(TEST_C))

# ---- how it is compiled --------------------------------------------------------------------------------------------

# The kernels exist once for every kind of CPU that they are tuned for; the program picks one at run time. Only these
# may fuse multiply and add: everywhere else results must not depend on what the compiler finds to fuse.
MACHINE := $(shell $(CC) -dumpmachine)
VARIANTS := portable
ifneq ($(filter x86_64%,$(MACHINE)),)
VARIANTS += avx2 avx512
X86_DEFINE := -DMOTH_HAVE_X86_VARIANTS=1
endif
# Beside the variants above, the portable kernels are what very old processors run: size counts more.
FLAGS_portable := -ffp-contract=off $(if $(X86_DEFINE),$(if $(filter -O3,$(OPT)),-O2))
FLAGS_avx2     := -DMOTH_WITHOUT_CASES -ffp-contract=fast -mavx2 -mfma
FLAGS_avx512   := -DMOTH_WITHOUT_CASES -ffp-contract=fast -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mprefer-vector-width=512

# Foreign headers are system headers: our warnings are not meant for them.
pkg_cflags  = $(patsubst -I%,-isystem %,$(shell $(PKG_CONFIG) --cflags $(1) 2>/dev/null))
LUA_PC     := $(firstword $(foreach p,lua5.4 lua-5.4 lua54 lua,$(shell $(PKG_CONFIG) --exists '$(p) >= 5.4' 2>/dev/null && echo $(p))))
LUA_CFLAGS := $(call pkg_cflags,$(LUA_PC))
DEP_CFLAGS := $(call pkg_cflags,openblas) $(call pkg_cflags,jansson) $(call pkg_cflags,stb)

# A static Lua makes the program one file, whose symbols, and no others, are shown to C modules that scripts load.
LUA_STATIC := $(wildcard $(shell $(PKG_CONFIG) --variable=libdir $(LUA_PC) 2>/dev/null)/liblua5.4.a)
LUA_LIBS   := -Wl,--dynamic-list=$(BUILD)/gen/program.list $(or $(LUA_STATIC),$(shell $(PKG_CONFIG) --libs $(LUA_PC) 2>/dev/null))
ENGINE_LIBS := -lopenblas -ljansson -lz -lm -ldl -pthread

CPPFLAGS_ALL := -D_POSIX_C_SOURCE=200809L -Iengine -I$(BUILD)/gen $(DEP_CFLAGS) $(CPPFLAGS)
ifeq ($(READLINE),no)
CPPFLAGS_ALL += -DMOTH_NO_READLINE
endif
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wvla -Wformat=2 -Wstrict-prototypes $(if $(WERROR),-Werror)
# No -ffast-math: the same seed must give the same bits. The two -fno- flags change no result; they only promise that
# nobody reads errno or the floating-point exception flags after a math function.
# Nothing unwinds through C code, and debuggers have -g: the tables for it would be 6 % of the program.
CFLAGS_ALL := -std=c11 $(OPT) -g -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections \
	-fno-math-errno -fno-trapping-math $(if $(SAN),,-fno-asynchronous-unwind-tables) $(WARNINGS) $(SAN) $(CFLAGS)
LDFLAGS_ALL := -Wl,--gc-sections -Wl,--as-needed $(SAN) $(LDFLAGS)

COMPILE = $(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -MMD -MP

# ---- what comes out ------------------------------------------------------------------------------------------------

VERSION := $(strip $(shell cat VERSION))
VERSION_PARTS := $(subst ., ,$(VERSION))
SOVERSION := 0

OBJ := $(BUILD)/obj
ENGINE_O  := $(ONCE_C:%.c=$(OBJ)/once/%.o) $(foreach v,$(VARIANTS),$(OPS_C:%.c=$(OBJ)/$(v)/%.o))
# What only programs in C need: in the libraries, not in the program and the module.
API_O     := $(API_C:%.c=$(OBJ)/once/%.o)
DOUBLE_O  := $(ONCE_C:%.c=$(OBJ)/double/%.o) $(OPS_C:%.c=$(OBJ)/double/%.o)
BINDING_O := $(BINDING_C:%.c=$(OBJ)/once/%.o) $(OBJ)/embedded.o
HELPER_O  := $(HELPER_C:%.c=$(OBJ)/once/%.o)
HELPER_DOUBLE_O := $(HELPER_C:%.c=$(OBJ)/double/%.o)
FLOAT_TESTS := $(FLOAT_C:tests/engine/%.c=$(BUILD)/tests/%)
GRAD_TESTS  := $(GRAD_C:tests/engine/%.c=$(BUILD)/double/%)
EXAMPLES    := $(EXAMPLE_C:docs/%.c=$(BUILD)/examples/%)
PTY_TESTS   := $(PTY_C:tests/pty/%.c=$(BUILD)/pty/%)
HOST_TESTS  := $(HOST_C:tests/binding/%.c=$(BUILD)/binding/%)
FUZZERS     := $(FUZZ_C:tests/fuzz/%.c=$(BUILD)/fuzzers/%)
VERSION_H   := $(BUILD)/gen/moth_version.h
PRODUCTS    := $(BUILD)/libmoth.a $(BUILD)/libmoth.so $(BUILD)/moth.so $(BUILD)/moth

.PHONY: all engine tests
all: $(PRODUCTS)                  ## everything that is installed (the default)
engine: $(BUILD)/libmoth.a        ## only the engine's static library
tests: $(FLOAT_TESTS) $(GRAD_TESTS) $(HOST_TESTS) $(PTY_TESTS) $(EXAMPLES)  ## the C test programs, without running them

# ---- rules ---------------------------------------------------------------------------------------------------------

# A stamp is rewritten only when its text changes. Objects depend on the flags, links on the list of files: so another
# compiler, another flag or a deleted source rebuilds exactly what it should.
.PHONY: FORCE
define STAMP
$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$(2)' | cmp -s - $$@ || printf '%s\n' '$(2)' > $$@
endef
FLAGS_STAMP := $(BUILD)/stamp/flags
FILES_STAMP := $(BUILD)/stamp/files
$(eval $(call STAMP,$(FLAGS_STAMP),$(shell $(CC) --version | head -n 1) $(COMPILE) $(LUA_CFLAGS) $(X86_DEFINE) $(foreach v,$(VARIANTS),$(FLAGS_$(v))) $(LDFLAGS_ALL)))
$(eval $(call STAMP,$(FILES_STAMP),$(ONCE_C) $(API_C) $(OPS_C) $(BINDING_C) $(LUA_SRC) $(HELPER_C)))

$(VERSION_H): VERSION Makefile
	@mkdir -p $(@D)
	@printf '%s\n' '/* Made from the file VERSION. */' '#ifndef MOTH_VERSION_H' '#define MOTH_VERSION_H' \
	  '#define MOTH_VERSION_MAJOR $(word 1,$(VERSION_PARTS))' '#define MOTH_VERSION_MINOR $(word 2,$(VERSION_PARTS))' \
	  '#define MOTH_VERSION_PATCH $(word 3,$(VERSION_PARTS))' '#define MOTH_VERSION_STRING "$(VERSION)"' '#endif' > $@

OBJECT_NEEDS := $(FLAGS_STAMP) | $(VERSION_H)

# $(1): folder of the objects, $(2): flags. The same sources are compiled in several ways, each into its own folder.
define OBJECT_RULE
$(OBJ)/$(1)/%.o: %.c $(OBJECT_NEEDS)
	@mkdir -p $$(@D)
	$$(call say,CC,$(1) $$<)
	$(Q)$(COMPILE) $(2) $$(FILE_FLAGS) -c -o $$@ $$<
endef
$(foreach v,$(VARIANTS),$(eval $(call OBJECT_RULE,$(v),$(X86_DEFINE) -DMOTH_VARIANT=$(v) $(FLAGS_$(v)))))
$(eval $(call OBJECT_RULE,once,$(X86_DEFINE) $(FLAGS_portable) $$(if $$(filter bindings/% tests/binding/%,$$<),-Ibindings $(LUA_CFLAGS))))
$(eval $(call OBJECT_RULE,double,-DMOTH_DOUBLE -DMOTH_VARIANT=portable $(FLAGS_portable)))

# stb_image adds up coefficients of corrupt files until they overflow: defined, and harmless, when integers wrap. Where
# a marker comes before the bits that a progressive scan needs, its bit count goes below zero and it shifts zeros by more
# than 31: zeros come out whatever the machine makes of that (later releases of stb check for it).
$(OBJ)/%/engine/io/image_jpeg.o: FILE_FLAGS = -fwrapv -fno-sanitize=shift

# rm first: ar would keep members whose source is gone.
$(BUILD)/libmoth.a: $(ENGINE_O) $(API_O) $(FILES_STAMP)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $(ENGINE_O) $(API_O)

$(BUILD)/double/libmoth.a: $(DOUBLE_O) $(FILES_STAMP)
	@mkdir -p $(@D) && rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $(DOUBLE_O)

$(BUILD)/libmoth.so: $(ENGINE_O) $(API_O) $(FILES_STAMP)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,-soname,libmoth.so.$(SOVERSION) -Wl,-z,defs $(LDFLAGS_ALL) -o $@ $(ENGINE_O) $(API_O) $(ENGINE_LIBS)
	@ln -sf libmoth.so $@.$(SOVERSION)

# The Lua sources become one C file, so a program or a moth.so works from any directory.
$(BUILD)/embed: bindings/embed.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(HOSTCC) -std=c11 -D_POSIX_C_SOURCE=200809L -O1 $(WARNINGS) -o $@ $< -lz

$(BUILD)/embedded.c: $(BUILD)/embed $(LUA_SRC) $(FILES_STAMP)
	$(Q)$(BUILD)/embed $(LUA_SRC) > $@

$(OBJ)/embedded.o: $(BUILD)/embedded.c bindings/embed.h $(OBJECT_NEEDS)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -Ibindings -c -o $@ $<

# The module takes Lua from the program that loads it, and shows nothing but luaopen_*: a second copy of the engine in
# the same process must not get mixed up with it.
$(BUILD)/gen/module.map: Makefile
	@mkdir -p $(@D)
	@echo '{ global: luaopen_*; local: *; };' > $@

$(BUILD)/moth.so: $(BINDING_O) $(ENGINE_O) $(BUILD)/gen/module.map $(FILES_STAMP)
	$(call say,LINK,$@)
	$(Q)$(CC) -shared -Wl,--version-script=$(BUILD)/gen/module.map $(LDFLAGS_ALL) -o $@ $(BINDING_O) $(ENGINE_O) $(ENGINE_LIBS)

$(BUILD)/gen/program.list: Makefile
	@mkdir -p $(@D)
	@echo '{ lua_*; luaL_*; luaopen_*; };' > $@

$(BUILD)/moth: $(OBJ)/once/bindings/main.o $(BINDING_O) $(ENGINE_O) $(BUILD)/gen/program.list $(FILES_STAMP)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(OBJ)/once/bindings/main.o $(BINDING_O) $(ENGINE_O) $(LUA_LIBS) $(ENGINE_LIBS)

# Tests link the static library: there the engine's internal functions can be reached too.
$(BUILD)/tests/%: $(OBJ)/once/tests/engine/%.o $(HELPER_O) $(BUILD)/libmoth.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(ENGINE_LIBS)

$(BUILD)/bench/%: $(OBJ)/once/bench/%.o $(BUILD)/libmoth.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(ENGINE_LIBS)

$(BUILD)/double/%: $(OBJ)/double/tests/engine/%.o $(HELPER_DOUBLE_O) $(BUILD)/double/libmoth.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(ENGINE_LIBS)

# Drives the built program in a pseudo-terminal; has nothing of the engine in it.
$(BUILD)/pty/%: $(OBJ)/once/tests/pty/%.o $(OBJ)/once/tests/pty/pty.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^

# Programs with a Lua of their own and the bindings.
$(BUILD)/binding/%: $(OBJ)/once/tests/binding/%.o $(BINDING_O) $(ENGINE_O) $(BUILD)/gen/program.list
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(LUA_LIBS) $(ENGINE_LIBS)

# Examples see what a user sees: the public header and the shared library.
$(BUILD)/examples/%: docs/%.c $(BUILD)/libmoth.so $(OBJECT_NEEDS)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -MF $@.d -MT $@ $(LDFLAGS_ALL) -o $@ $< -L$(BUILD) -lmoth -lm -Wl,-rpath,'$$ORIGIN/..'

$(BUILD)/fuzzers/%: $(OBJ)/once/tests/fuzz/%.o $(BUILD)/libmoth.a
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(ENGINE_LIBS)

# Objects that only pattern rules mention are kept, else each `make test` would compile them again.
.SECONDARY:

# ---- tests ---------------------------------------------------------------------------------------------------------

.PHONY: test test-quick asan tsan fuzz check tidy accept bench parity
TEST_RUN = EXAMPLES="$(EXAMPLES)" PROGRAMS="$(FLOAT_TESTS) $(GRAD_TESTS) $(HOST_TESTS) $(PTY_TESTS)" tests/run $(BUILD)

test: all tests                   ## every test; specs through lua5.4 + moth.so and through moth
	$(TEST_RUN) module program

test-quick: all tests             ## C tests, and the specs once, without those tagged slow
	SPEC_FLAGS=--exclude-tags=slow $(TEST_RUN) program

# The sanitizers are recursive calls with another BUILD: same rules, same tests, other flags.
ASAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
TSAN := -fsanitize=thread -fno-omit-frame-pointer

asan:                             ## every test with address, undefined-behaviour and leak sanitizers
	$(MAKE) BUILD=$(BUILD)/asan CC=gcc OPT=-O1 SAN="$(ASAN)" asan-run
tsan:                             ## the C tests with the thread sanitizer
	$(MAKE) BUILD=$(BUILD)/tsan CC=clang OPT=-O1 SAN="$(TSAN)" tsan-run

.PHONY: asan-run tsan-run fuzz-run
asan-run: $(BUILD)/moth tests
	ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 $(TEST_RUN) program
# Four threads, also on a machine with fewer cores: races need company.
tsan-run: $(FLOAT_TESTS)
	MOTH_NUM_THREADS=4 PROGRAMS="$(FLOAT_TESTS)" tests/run $(BUILD)

FUZZ_SECONDS ?= 60
fuzz:                             ## each fuzz target for FUZZ_SECONDS (60)
	$(MAKE) BUILD=$(BUILD)/fuzz CC=clang OPT=-O1 SAN="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" fuzz-run
# What is found stays under BUILD; the seeds in tests/fuzz/NAME are only read.
fuzz-run: $(FUZZERS)
	@set -e; for f in $(FUZZERS); do n=$${f##*/}; mkdir -p $(BUILD)/corpus/$$n; echo "$$n"; \
	  $$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -artifact_prefix=$(BUILD)/$$n- \
	    $(BUILD)/corpus/$$n $$(test -d tests/fuzz/$$n && echo tests/fuzz/$$n); done

check:                            ## format, warnings with two compilers, analyzers, include order
	BUILD=$(BUILD)/check tests/check

# clang-tidy runs again only for files whose object (and so source or header) changed. It sees the float build.
TIDY_C := $(ONCE_C) $(API_C) $(OPS_C) $(wildcard bindings/*.c) $(FLOAT_C) $(HELPER_C) $(wildcard tests/pty/*.c) $(HOST_C)
tidy: $(TIDY_C:%.c=$(BUILD)/tidy/%.ok)   ## clang-tidy alone
$(BUILD)/tidy/%.ok: %.c $(OBJ)/once/%.o .clang-tidy
	@mkdir -p $(@D)
	@clang-tidy --quiet --warnings-as-errors='*' $< -- $(CPPFLAGS_ALL) -Ibindings $(LUA_CFLAGS) -std=c11 2>$@.log || { cat $@.log; exit 1; }
	@touch $@

accept: all                       ## what the README promises, run as written
	$(BUILD)/moth tests/accept.lua
bench: all                        ## speed, as tables, beside its peers
	bench/run
parity: all                       ## agreement with reference values
	tests/golden/parity

# ---- the rest ------------------------------------------------------------------------------------------------------

.PHONY: docs types rock install clean format help
docs: $(BUILD)/moth               ## the reference in BUILD/docs
	@mkdir -p $(BUILD)/reference
	$(BUILD)/moth share/reference.lua > $(BUILD)/reference/moth.lua
	ldoc -q -p moth -t "moth $(VERSION)" -f markdown -d $(BUILD)/docs $(BUILD)/reference/moth.lua
types: $(BUILD)/types/moth.lua    ## definitions for lua-language-server in BUILD/types
$(BUILD)/types/moth.lua: $(BUILD)/moth share/definitions.lua
	@mkdir -p $(@D)
	$(BUILD)/moth share/definitions.lua > $@
# What `luarocks make` installs.
rock: $(BUILD)/moth.so $(BUILD)/moth

D := $(DESTDIR)$(PREFIX)
install: all types                ## to PREFIX (/usr/local), below DESTDIR
	install -d "$(D)"/bin "$(D)"/lib/pkgconfig "$(D)"/lib/lua/5.4 "$(D)"/include "$(D)"/share/man/man1 "$(D)"/share/moth/types \
	  "$(D)"/share/bash-completion/completions "$(D)"/share/zsh/site-functions "$(D)"/share/fish/vendor_completions.d
	install -s -m 755 $(BUILD)/moth "$(D)"/bin/moth
	install -m 644 $(BUILD)/libmoth.a "$(D)"/lib/libmoth.a
	install -s -m 755 $(BUILD)/libmoth.so "$(D)"/lib/libmoth.so.$(VERSION)
	ln -sf libmoth.so.$(VERSION) "$(D)"/lib/libmoth.so.$(SOVERSION)
	ln -sf libmoth.so.$(SOVERSION) "$(D)"/lib/libmoth.so
	install -s -m 755 $(BUILD)/moth.so "$(D)"/lib/lua/5.4/moth.so
	install -m 644 engine/moth.h $(VERSION_H) "$(D)"/include
	install -m 644 docs/moth.1 "$(D)"/share/man/man1/moth.1
	install -m 644 $(BUILD)/types/moth.lua "$(D)"/share/moth/types/moth.lua
	install -m 644 share/completions/moth.bash "$(D)"/share/bash-completion/completions/moth
	install -m 644 share/completions/_moth "$(D)"/share/zsh/site-functions/_moth
	install -m 644 share/completions/moth.fish "$(D)"/share/fish/vendor_completions.d/moth.fish
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' 'Name: moth' \
	  'Description: tensors, autograd, layers and training in C' 'Version: $(VERSION)' 'Cflags: -I$${includedir}' \
	  'Libs: -L$${libdir} -lmoth' 'Libs.private: $(ENGINE_LIBS)' > "$(D)"/lib/pkgconfig/moth.pc
	chmod 644 "$(D)"/lib/pkgconfig/moth.pc

format:                           ## clang-format over all C files
	clang-format -i $(shell git ls-files '*.c' '*.h')
clean:                            ## removes BUILD
	rm -rf $(BUILD)
help:                             ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

-include $(shell find $(OBJ) $(BUILD)/examples -name '*.d' 2>/dev/null)
