--- Test accuracy over nine dropout rates from 0.1 to 1, a fresh model for each; SGD, 20 epochs.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20, ...)

print [[
The document's own sweep is broken: its rate never reaches a layer and the model is never built again, so it trains one
network of rate 0.3 nine times further. Here each rate has a fresh model. Rate 1 drops everything: chance level, 0.1.]]

return common.sweep {
    name = "dropout", parameter = "rate", values = moth.linspace(0.1, 1.0, 9), options = options,
    plot = { title = "dropout rate, a fresh model each" },
    build = function(p)
        return common.compile(common.mlp { dropout = p.rate }, moth.optimizers.SGD {})
    end,
}
