--- The rows of a picture as a sequence of 28 steps: an LSTM of 128 units; Adam, 5 epochs. About 0.98.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(5)
common.validation_split = 0 -- five epochs are few: learn from all pictures
local train, test = common.mnist(options)
local layers = moth.layers

local model = moth.Sequential {
    layers.Reshape { 28, 28, input_shape = { 784 } },
    layers.LSTM { 128 },
    layers.Dense { 10, activation = "softmax" },
}
model:summary()
common.compile(model, moth.optimizers.Adam {})
common.fit(model, train, options)
common.evaluate(model, test)
