--- The optimizers by their defaults on the MLP with dropout 0.3, fresh weights each; 20 epochs.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20, ...)

return common.sweep {
    name = "optimizer", parameter = "optimizer", options = options,
    values = { "SGD", "RMSprop", "Adam", "Adagrad", "Adamax", "Nadam" },
    plot = { title = "optimizers by their defaults" },
    build = function(p)
        return common.compile(common.mlp { dropout = 0.3 }, moth.optimizers[p.optimizer] {})
    end,
}
