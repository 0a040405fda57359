-- Functions and layers against Keras 3: values, gradients and state in tests/golden, written by the generators there.
local moth = require "moth"
local support = require "tests.spec.support"
local flat = support.flat

local function golden(name)
    return dofile("tests/golden/" .. name .. ".lua")
end

-- Largest difference, relative to the largest magnitude that is wanted.
local function difference(got, want)
    local a, b = flat(got), flat(want)
    assert(#a == #b, ("%d values where %d are wanted"):format(#a, #b))
    local scale, worst = 1e-3, 0
    for i = 1, #b do
        scale = math.max(scale, math.abs(b[i]))
    end
    for i = 1, #b do
        assert(a[i] == a[i], "a value is not a number")
        worst = math.max(worst, math.abs(a[i] - b[i]))
    end
    return worst / scale
end

local function check(what, got, want, tolerance)
    local d = difference(got, want)
    assert(d <= (tolerance or 2e-5), ("%s: off by %g of the largest value"):format(what, d))
end

-- Every kind of case is listed with how many were compared, so that none is passed over silently.
local function exists(entries, name)
    return rawget(entries, name) ~= nil
end

local function options_text(options)
    local parts = {}
    for key, value in pairs(options) do
        parts[#parts + 1] = ("%s=%s"):format(key, type(value) == "table" and table.concat(flat(value), ",") or value)
    end
    table.sort(parts)
    return table.concat(parts, " ")
end

describe("activations", function()
    for i, case in ipairs(golden "activations") do
        it(("%d %s %s"):format(i, case.name, options_text(case.options)), function()
            local x = moth.tensor(case.x):requires_grad_()
            local y = moth.activations[case.name](case.options)(x)
            check("y", y, case.y)
            if case.dx then
                (y * moth.tensor(case.r)):sum():backward()
                check("dx", x.grad, case.dx)
            end
        end)
    end
end)

describe("losses", function()
    for i, case in ipairs(golden "losses") do
        it(("%d %s %s %s"):format(i, case.name, options_text(case.options), case.remark or ""), function()
            local p = moth.tensor(case.y_pred):requires_grad_()
            local t = moth.tensor(case.y_true)
            local loss = moth.losses[case.name](case.options)(t, p)
            check("mean", loss:item(), case.mean, 1e-4)
            loss:backward()
            check("dy", p.grad, case.dy, 1e-4)
        end)
    end
end)

describe("metrics", function()
    local data = golden "metrics"
    for i, case in ipairs(data.cases) do
        if exists(moth.metrics, case.name) then
            it(("%d %s %s %s"):format(i, case.name, options_text(case.options), case.data), function()
                local set = data.data[case.data]
                local y_true, y_pred = moth.tensor(set.y_true), moth.tensor(set.y_pred)
                local model = moth.Sequential { moth.layers.Activation { "linear", input_shape = { y_pred.shape[2] } } }
                model:compile {
                    loss = function(_, p)
                        return (p * 0):mean()
                    end,
                    metrics = { moth.metrics[case.name](case.options) },
                }
                local n = 0
                for k, size in ipairs(data.batch_sizes) do
                    n = n + size
                    local values = model:evaluate(y_pred:slice(1, 1, n), y_true:slice(1, 1, n), { batch_size = 4 })
                    values.loss = nil
                    local _, value = next(values)
                    check("after " .. n, value, case.after[k], 1e-5)
                end
            end)
        end
    end
end)

describe("optimizers", function()
    local data = golden "optimizers"
    for i, case in ipairs(data.cases) do
        it(("%d %s %s"):format(i, case.name, options_text(case.options)), function()
            local params = {}
            for k, value in ipairs(data.initial) do
                params[k] = moth.tensor(value):requires_grad_()
            end
            local options = {}
            for key, value in pairs(case.options) do
                options[key] = value
            end
            local rate = options.learning_rate
            if type(rate) == "table" then
                options.learning_rate = moth.schedules[rate.schedule](rate.options)
            end
            local optimizer = moth.optimizers[case.name](options)
            for step, want in ipairs(case.weights) do
                local loss = 0
                for k, gradient in ipairs(data.gradients[step]) do
                    loss = (params[k] * moth.tensor(gradient)):sum() + loss
                end
                optimizer:zero_grad(params)
                loss:backward()
                optimizer:step(params)
                for k, value in ipairs(want) do
                    check(("step %d, variable %d"):format(step, k), params[k]:detach(), value, 1e-5)
                end
            end
        end)
    end

    for i, case in ipairs(data.constraints) do
        it(("constraint %d %s"):format(i, case.name), function()
            local options = {}
            for key, value in pairs(case.options) do
                options[key] = value
            end
            if options.axis and options.axis >= 0 then
                options.axis = options.axis + 1 -- positions of a weight count from 1 in moth
            end
            local w = moth.tensor(case.x)
            local model = moth.Sequential { moth.layers.Dense {
                w.shape[2], input_shape = { w.shape[1] }, use_bias = false,
                kernel_constraint = moth.constraints[case.name](options),
            } }
            model:set_weights { w }
            model:compile { optimizer = moth.optimizers.SGD { learning_rate = 0 }, loss = "mse" }
            model:train_on_batch(moth.zeros(1, w.shape[1]), moth.zeros(1, w.shape[2]))
            check("constrained", model:get_weights()[1], case.y, 1e-5)
        end)
    end

    for i, case in ipairs(data.schedules) do
        if exists(moth.schedules, case.name) then
            it(("schedule %d %s"):format(i, case.name), function()
                local schedule = moth.schedules[case.name](case.options)
                for step, want in ipairs(case.values) do
                    check(("step %d"):format(step - 1), schedule(step - 1), want, 1e-5)
                end
            end)
        end
    end
end)

-- Options whose meaning differs: axes of a sample count from 1 without the batch in moth as in Keras; constraints' axes
-- are positions of the weight itself.
local function layer_of(case)
    local options = {}
    for key, value in pairs(case.options) do
        options[key] = value
    end
    return moth.layers[case.name](options)
end

-- A layer's variables are in Keras's order; its trainable ones come first there.
local function compare(layer, case, x, y)
    check("y", y, case.y)
    assert.same(moth.tensor(case.y).shape, y.shape)
    local weighted = y * moth.tensor(case.r)
    weighted:sum():backward()
    check("dx", x.grad, case.dx, 5e-5)
    for k, want in ipairs(case.gradients or {}) do
        check("gradient " .. k, layer.weights[k].grad, want, 5e-5)
    end
end

describe("layers", function()
    local data = golden "layers"
    for i, case in ipairs(data.single) do
        it(("%d %s %s%s"):format(i, case.name, options_text(case.options), case.training and " training" or ""),
            function()
                local layer = layer_of(case)
                local x = moth.tensor(case.x)
                if x.dtype == "float32" then
                    x:requires_grad_()
                end
                layer(x, { training = case.training })
                local weights = {}
                table.move(case.weights or {}, 1, #(case.weights or {}), 1, weights)
                -- Keras counts the seeds of its random generators as state too.
                table.move(case.state or {}, 1, #layer.weights - #weights, #weights + 1, weights)
                if #weights > 0 then
                    layer:set_weights(weights)
                end
                local y = layer(x, { training = case.training })
                check("y", y, case.y)
                for k, want in ipairs(case.state_after or {}) do
                    check("state " .. k, layer.weights[#case.weights + k]:detach(), want)
                end
                if case.r then
                    (y * moth.tensor(case.r)):sum():backward()
                    if case.dx then
                        check("dx", x.grad, case.dx, 5e-5)
                    end
                    for k, want in ipairs(case.gradients or {}) do
                        check("gradient " .. k, layer.weights[k].grad, want, 5e-5)
                    end
                end
            end)
    end

    for i, case in ipairs(golden "attention") do
        local what = options_text(case.options) .. (case.masked and " masked" or "")
        it(("MultiHeadAttention, %d %s"):format(i, what), function()
            local inputs, symbols, passed = {}, {}, {}
            for k, values in ipairs(case.inputs) do
                inputs[k] = moth.tensor(values):requires_grad_()
                symbols[k] = moth.Input { table.unpack(inputs[k].shape, 2) }
                passed[k] = k == 2 and case.masked and moth.layers.Masking {} (symbols[k]) or symbols[k]
            end
            local layer = moth.layers.MultiHeadAttention(case.options)
            local model = moth.Model { inputs = symbols, outputs = layer(passed) }
            layer:set_weights(case.weights)
            local y = model(inputs)
            check("y", y, case.y)
            local weighted = y * moth.tensor(case.r)
            weighted:sum():backward()
            for k, want in ipairs(case.dx) do
                check("gradient of input " .. k, inputs[k].grad, want, 5e-5)
            end
            for k, want in ipairs(case.gradients) do
                -- the bias of the keys moves all scores of a step alike: its gradient is 0 but for rounding
                local rounding = #case.gradients == 8 and k == 4
                check("gradient " .. k, layer.weights[k].grad, want, rounding and 1e-3 or 5e-5)
            end
        end)
    end

    for i, case in ipairs(data.merge) do
        it(("of several inputs, %d %s %s"):format(i, case.name, options_text(case.options)), function()
            local inputs = {}
            for k, values in ipairs(case.inputs) do
                inputs[k] = moth.tensor(values):requires_grad_()
            end
            local y = layer_of(case)(inputs)
            check("y", y, case.y)
            assert.same(moth.tensor(case.y).shape, y.shape)
            local weighted = y * moth.tensor(case.r)
            weighted:sum():backward()
            for k, want in ipairs(case.gradients) do
                check("gradient of input " .. k, inputs[k].grad, want, 5e-5)
            end
        end)
    end
end)

describe("sequences:", function()
    local data = golden "sequences"

    local function inner_of(options)
        local made = {}
        for key, value in pairs(options) do
            made[key] = type(value) == "table" and value.type and moth.layers[value.type](value.options) or value
        end
        return made
    end

    -- Masks go along inside a model.
    local function run(layer, case)
        local x = moth.tensor(case.x):requires_grad_()
        local stack = {}
        if case.masking then
            stack[1] = moth.layers.Masking {}
        end
        stack[#stack + 1] = layer
        local model = moth.Sequential(stack)
        model(x)
        layer:set_weights(case.weights or {})
        compare(layer, case, x, model(x))
    end

    for i, case in ipairs(data.wrapped) do
        it(("%d %s %s around %s %s%s"):format(i, case.name, options_text(case.options), case.inner.name,
            options_text(case.inner.options), case.masking and ", masked" or ""), function()
            local options = { moth.layers[case.inner.name](case.inner.options) }
            for key, value in pairs(case.options) do
                options[key] = value
            end
            run(moth.layers[case.name](options), case)
        end)
    end

    for i, case in ipairs(data.masked) do
        it(("%d Masking before %s %s"):format(i, case.name, options_text(case.options)), function()
            run(layer_of(case), case)
        end)
        it(("%d a tensor of Masking into %s %s"):format(i, case.name, options_text(case.options)), function()
            local layer, x = layer_of(case), moth.tensor(case.x):requires_grad_()
            layer(x)
            layer:set_weights(case.weights or {})
            compare(layer, case, x, layer(moth.layers.Masking {} (x)))
        end)
    end

    for i, case in ipairs(data.fits) do
        it(("%d fit with a mask: %s"):format(i, case.name), function()
            local ids, y = moth.tensor(data.ids), moth.tensor(case.y)
            local first = moth.layers.Embedding { 7, 4, mask_zero = true, input_shape = { ids.shape[2] } }
            local model = moth.Sequential { first }
            for _, layer in ipairs(case.layers) do
                model:add(moth.layers[layer.type](inner_of(layer.options)))
            end
            local weights = {}
            for k, w in ipairs(model:get_weights()) do
                local size = 1
                for _, n in ipairs(w.shape) do
                    size = size * n
                end
                local places = moth.arange(0, size - 1) * (0.83 + 0.1 * (k - 1)) + (0.4 + k - 1)
                weights[k] = places:sin():reshape(table.unpack(w.shape)) * 0.5
            end
            for _, k in ipairs(case.variances or {}) do
                weights[k] = weights[k]:abs()
            end
            model:set_weights(weights)
            model:compile { optimizer = moth.optimizers.SGD { lr = 0.2 }, loss = case.loss, metrics = case.metrics }
            local history = model:fit(ids, y, { batch_size = 4, epochs = 3, shuffle = false, verbose = 0 }).history
            check("loss", history.loss, case.losses, 1e-4)
            local after = model:evaluate(ids, y, { batch_size = 4, verbose = 0 })
            for name, value in pairs(case.evaluate) do
                check("evaluate " .. name, after[name], value, 1e-4)
            end
            check("weights", model:get_weights(), case.final, 1e-3)
        end)
    end
end)
