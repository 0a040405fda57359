--- Two hidden layers of 128 relu; SGD, 20 epochs. The document reaches 0.9468 on the test set.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20)
local train, test = common.mnist(options)

local model = common.mlp()
model:summary()
common.compile(model, moth.optimizers.SGD {})
common.fit(model, train, options)
common.evaluate(model, test)
