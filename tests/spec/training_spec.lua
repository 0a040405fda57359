-- Training against Keras 3: what fit and evaluate report, the losses of a hundred steps and the weights at the end.
-- The values are in tests/golden/training.lua; data and first weights follow from formulas that both sides know.
local moth = require "moth"

local golden = dofile("tests/golden/training.lua")
local CLASSES = 3

-- Single precision rounds the sine as numpy does: tensors hold float32.
local function wave(shape, step, phase, scale)
    local n, list = 1, {}
    for _, size in ipairs(shape) do
        n = n * size
    end
    for i = 1, n do
        list[i] = scale * math.sin((i - 1) * step + phase)
    end
    return moth.tensor(list, { dtype = "float32" }):reshape(table.unpack(shape))
end

local function data(n, features, loss)
    local ids = {}
    for i = 0, n - 1 do
        ids[i + 1] = (i * 7 + i // 5) % CLASSES
    end
    local y = moth.tensor(ids, { dtype = "int32" })
    return wave({ n, features }, 0.71, 0.2, 1), loss:find("^sparse") and y or moth.one_hot(y, CLASSES)
end

local function build(layers, features)
    local model = moth.Sequential {}
    for i, layer in ipairs(layers) do
        local options = {}
        for key, value in pairs(layer.options) do
            options[key] = value
        end
        options.input_shape = i == 1 and { features } or nil
        model:add(moth.layers[layer.type](options))
    end
    local weights = {}
    for i, w in ipairs(model:get_weights()) do
        weights[i] = wave(w.shape, 0.83 + 0.1 * (i - 1), 0.4 + (i - 1), 0.5)
    end
    return model:set_weights(weights)
end

local function flat_weights(model)
    local list = {}
    for _, w in ipairs(model:get_weights()) do
        for _, value in ipairs(w:flatten():totable()) do
            list[#list + 1] = value
        end
    end
    return list
end

local function near(what, got, want, tolerance)
    assert(type(got) == "number" and math.abs(got - want) <= tolerance * math.max(math.abs(want), 1e-3),
        ("%s: %s where Keras has %.9g"):format(what, got, want))
end

local function near_lists(what, got, want, tolerance)
    assert.equal(#want, #got, what)
    for i = 1, #want do
        near(("%s[%d]"):format(what, i), got[i], want[i], tolerance)
    end
end

local function weights_of(case)
    if case.weights == "sample" then
        return { sample_weight = wave({ case.n }, 1.3, 0.5, 1) * 0.9 + 1 }
    elseif case.weights == "class" then
        return { class_weight = { [0] = 0.5, [2] = 3 } }
    end
    return {}
end

describe("fit and evaluate", function()
    for _, case in ipairs(golden.fits) do
        it("report what Keras reports: " .. case.name, function()
            local model = build(case.layers, case.features)
            model:compile { optimizer = moth.optimizers[case.optimizer.name](case.optimizer.options), loss = case.loss,
                metrics = { "accuracy" } }
            local x, y = data(case.n, case.features, case.loss)
            local options = weights_of(case)
            options.batch_size, options.shuffle, options.verbose = 4, false, 0
            for key, value in pairs(case.fit) do
                options[key] = value
            end
            local history = model:fit(x, y, options).history
            for name, values in pairs(case.history) do
                assert(history[name], name .. " is missing in the history")
                near_lists(name, history[name], values, 1e-4)
            end
            for name in pairs(history) do
                assert(case.history[name], name .. " is not in Keras's history")
            end
            near_lists("weights", flat_weights(model), case.final, 1e-3)
            local after = model:evaluate(x, y, { batch_size = 4, sample_weight = options.sample_weight })
            for name, value in pairs(case.evaluate) do
                near("evaluate " .. name, after[name], value, 1e-4)
            end
        end)
    end
end)

describe("a hundred steps", function()
    for _, case in ipairs(golden.steps) do
        it(("of %s, learning rate %g"):format(case.name, case.options.learning_rate), function()
            local model = build(golden.fits[1].layers, 6)
            model:compile { optimizer = moth.optimizers[case.name](case.options), loss = "categorical_crossentropy" }
            local x, y = data(40, 6, "categorical_crossentropy")
            local losses = {}
            for step = 0, 99 do
                local first = step * 8 % 40 + 1
                losses[step + 1] = model:train_on_batch(x:slice(1, first, first + 7), y:slice(1, first, first + 7)).loss
            end
            near_lists("loss", losses, case.losses, 1e-4)
            near_lists("weights", flat_weights(model), case.final, 2e-3)
        end)
    end
end)
