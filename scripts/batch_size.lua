--- Samples of a batch: small batches make more steps an epoch, and slower ones; the MLP, SGD, 20 epochs.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20, ...)

return common.sweep {
    name = "batch_size", parameter = "batch_size", values = { 32, 64, 128, 256, 512, 1024 }, options = options,
    plot = { title = "samples of a batch", xlog = true },
    build = function()
        return common.compile(common.mlp(), moth.optimizers.SGD {})
    end,
}
