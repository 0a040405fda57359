rockspec_format = "3.0"
package = "moth"
version = "scm-1"
source = {
    url = "git+file://.", -- for `luarocks make` in a checkout
}
description = {
    summary = "Machine learning scripted in Lua: tensors, autograd, layers, training",
    detailed = "A C engine with tensors, automatic differentiation, layers, optimizers, pictures and plots, driven from Lua.",
    license = "MIT",
}
dependencies = {
    "lua >= 5.4, < 5.5",
}
build = {
    type = "make",
    build_target = "rock",
    build_variables = {
        CFLAGS = "", -- the Makefile has its own
    },
    install_pass = false,
    install = {
        lib = {
            moth = "build/moth.so",
        },
        bin = {
            moth = "build/moth",
        },
    },
}
