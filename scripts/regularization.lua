--- Weight decay by l2: the larger lambda, the simpler the model. Printed: how many weights are close to zero.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(20)
local train, test = common.mnist(options)

local rows = {}
for _, lambda in ipairs { 0, 1e-4, 1e-3, 1e-2 } do
    local regularizer = lambda > 0 and moth.regularizers.l2(lambda) or nil
    local model = common.compile(common.mlp { regularizer = regularizer }, moth.optimizers.Adam {})
    local history = common.fit(model, train, options).history
    local score = common.evaluate(model, test)
    local n = #history.accuracy
    rows[#rows + 1] = {
        ("%g"):format(lambda), ("%.4f"):format(history.accuracy[n]), ("%.4f"):format(history.val_accuracy[n]),
        ("%.4f"):format(score.accuracy), ("%.3f"):format(common.near_zero(model)),
    }
end
print()
common.table({ "lambda", "accuracy", "val_accuracy", "test accuracy", "share of |w| < 0.01" }, rows)
