--- The Keras example for MNIST: two convolutions with pooling, dropout 0.5; Adam. About 0.99 after 12 epochs.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(12)
common.validation_split = 0.1 -- as the example has it
local train, test = common.mnist(options)
local layers = moth.layers

local model = moth.Sequential {
    layers.Reshape { 28, 28, 1, input_shape = { 784 } },
    layers.Conv2D { 32, 3, activation = "relu" },
    layers.MaxPooling2D {},
    layers.Conv2D { 64, 3, activation = "relu" },
    layers.MaxPooling2D {},
    layers.Flatten {},
    layers.Dropout(0.5),
    layers.Dense { 10, activation = "softmax" },
}
model:summary()
common.compile(model, moth.optimizers.Adam {})
common.fit(model, train, options)
common.evaluate(model, test)
