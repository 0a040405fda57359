--- Units of the two hidden layers: parameters rise steeply, time follows, accuracy gains less and less; SGD, 20 epochs.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20, ...)

return common.sweep {
    name = "hidden_size", parameter = "units", values = { 16, 32, 64, 128, 256 }, options = options,
    plot = { title = "units of each hidden layer" },
    build = function(p)
        return common.compile(common.mlp { hidden = p.units }, moth.optimizers.SGD {})
    end,
}
