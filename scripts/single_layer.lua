--- One layer: 784 inputs, ten outputs, softmax; SGD, 200 epochs. The document reaches 0.9227 on the test set.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(200)
local train, test = common.mnist(options)

print(train.ids:slice(1, 1, 5))
print(train.y:slice(1, 1, 5))

local model = moth.Sequential { moth.layers.Dense { 10, input_shape = { 784 } }, moth.layers.Activation "softmax" }
model:summary()
common.compile(model, moth.optimizers.SGD {})
common.fit(model, train, options)
common.evaluate(model, test)
