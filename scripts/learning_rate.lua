--- The learning rate of SGD: too small learns too slowly, too large not at all; the MLP, 20 epochs.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20, ...)

return common.sweep {
    name = "learning_rate", parameter = "rate", values = { 1e-4, 1e-3, 1e-2, 0.1, 0.5, 1, 5 }, options = options,
    plot = { title = "learning rate of SGD", xlog = true },
    build = function(p)
        return common.compile(common.mlp(), moth.optimizers.SGD { learning_rate = p.rate })
    end,
}
