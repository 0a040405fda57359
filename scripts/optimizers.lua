--- RMSprop and Adam from fresh weights, and warm as in the document: there each compile keeps the weights, so its
-- RMSprop went on where SGD had stopped, and Adam where RMSprop had. It reports 0.9777 and 0.9805.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20)
local train, test = common.mnist(options)
local optimizers = moth.optimizers

for _, name in ipairs { "RMSprop", "Adam" } do
    print(("\n%s, fresh weights"):format(name))
    local model = common.compile(common.mlp { dropout = 0.3 }, optimizers[name] {})
    common.fit(model, train, options)
    common.evaluate(model, test)
end

local model = common.mlp { dropout = 0.3 }
for _, name in ipairs { "SGD", "RMSprop", "Adam" } do
    print(("\n%s, %s"):format(name, name == "SGD" and "fresh weights" or "going on with the weights"))
    common.compile(model, optimizers[name] {})
    common.fit(model, train, options)
    common.evaluate(model, test)
end
