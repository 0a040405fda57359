--- Perceptron against sigmoid: a step answers 0 or 1 and has no slope to follow; a sigmoid says "maybe" and learns.
-- Two clouds of points that overlap a little; the perceptron is taught by Rosenblatt's rule, the sigmoid by gradients.
local moth = require "moth"
local common = dofile((arg[0]:match("^.*/") or "") .. "common.lua")
local options = common.options(50)

local n = options.quick and 100 or 400
local y = moth.cat({ moth.zeros(n), moth.ones(n) }, 1)
local x = moth.randn(2 * n, 2) * 0.6 + y:reshape(2 * n, 1) * 1.5

-- f(x) = 1 if w x + b > 0 else 0; w moves by rate (target - answer) x after each sample.
local function perceptron()
    local w, b, rate = { 0, 0 }, 0, 0.1
    local points, targets = x:totable(), y:totable()
    for _ = 1, options.epochs do
        for i, p in ipairs(points) do
            local error = targets[i] - (w[1] * p[1] + w[2] * p[2] + b > 0 and 1 or 0)
            w[1], w[2], b = w[1] + rate * error * p[1], w[2] + rate * error * p[2], b + rate * error
        end
    end
    local model = moth.Sequential { moth.layers.Dense { 1, activation = "step", input_shape = { 2 } } }
    model:set_weights { { { w[1] }, { w[2] } }, { b } }
    return model
end

local function sigmoid()
    local model = moth.Sequential { moth.layers.Dense { 1, activation = "sigmoid", input_shape = { 2 } } }
    model:compile {
        optimizer = moth.optimizers.SGD { learning_rate = 0.5 }, loss = "binary_crossentropy", metrics = { "accuracy" },
    }
    model:fit(x, y, { epochs = options.epochs, verbose = 0 })
    return model
end

local rows = {}
for _, case in ipairs { { "perceptron", perceptron() }, { "sigmoid", sigmoid() } } do
    local name, model = table.unpack(case)
    local answers = model:predict(moth.tensor { { 0, 0 }, { 0.7, 0.7 }, { 0.8, 0.8 }, { 1.5, 1.5 } }):totable()
    local right = model:predict_classes(x):eq(y):to("float32"):mean():item()
    local row = { name, ("%.4f"):format(right) }
    for _, answer in ipairs(answers) do
        row[#row + 1] = ("%.4f"):format(answer[1])
    end
    rows[#rows + 1] = row
end
common.table({ "", "accuracy", "f(0, 0)", "f(0.7, 0.7)", "f(0.8, 0.8)", "f(1.5, 1.5)" }, rows)
