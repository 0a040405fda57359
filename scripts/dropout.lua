--- The MLP with dropout 0.3 behind each hidden layer; SGD, 20 epochs. The document reaches 0.9424.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20)
local train, test = common.mnist(options)

local model = common.mlp { dropout = 0.3 }
model:summary()
common.compile(model, moth.optimizers.SGD {})
common.fit(model, train, options)
common.evaluate(model, test)
