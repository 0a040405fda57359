-- The same seed gives the same bits: in a second run, with another number of threads, eagerly and compiled.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers

local function bits(model)
    return support.bits(model:get_weights())
end

local function onehot(n, classes)
    return moth.one_hot(moth.randint(0, classes - 1, { n }), classes)
end

local models = {
    mlp = {
        data = function() return moth.rand(700, 20), onehot(700, 5) end,
        model = function()
            return moth.Sequential {
                layers.Dense { 250, activation = "relu", input_shape = { 20 }, kernel_regularizer = "l2" },
                layers.Dropout(0.3), layers.Dense { 33, activation = "tanh" }, layers.Dropout(0.2),
                layers.Dense { 5, activation = "softmax" },
            }
        end,
        batch_size = 150,
    },
    cnn = {
        data = function() return moth.rand(50, 12, 12, 1), onehot(50, 4) end,
        model = function()
            return moth.Sequential {
                layers.Conv2D { 6, 3, activation = "relu", input_shape = { 12, 12, 1 } },
                layers.MaxPooling2D {}, layers.Conv2D { 5, 3, padding = "same", activation = "relu" },
                layers.BatchNormalization {}, layers.Flatten {}, layers.Dropout(0.5),
                layers.Dense { 4, activation = "softmax" },
            }
        end,
        batch_size = 16,
    },
    lstm = {
        data = function() return moth.rand(40, 7, 5), onehot(40, 3) end,
        model = function()
            return moth.Sequential {
                layers.LSTM { 9, input_shape = { 7, 5 }, dropout = 0.2 },
                layers.Dense { 3, activation = "softmax" },
            }
        end,
        batch_size = 16,
    },
}

local function train(spec, seed, optimizer)
    moth.seed(seed)
    local x, y = spec.data()
    local model = spec.model()
    model:compile { optimizer = optimizer or "adam", loss = "categorical_crossentropy", metrics = { "accuracy" } }
    local history = model:fit(x, y, { epochs = 3, batch_size = spec.batch_size, validation_split = 0.1, verbose = 0 })
    local losses = {}
    for _, name in ipairs { "loss", "val_loss", "accuracy" } do
        for _, value in ipairs(history.history[name]) do
            losses[#losses + 1] = ("%a"):format(value)
        end
    end
    return bits(model), table.concat(losses, " "), model, x, y
end

local names = {}
for name in pairs(models) do
    names[#names + 1] = name
end
table.sort(names)

describe("the bits of a fit", function()
    local threads = moth.threads()
    after_each(function() moth.threads(threads) end)

    for _, name in ipairs(names) do
        it(name .. ": follow from the seed, not from the number of threads", function()
            local weights, losses = train(models[name], 17)
            for _, count in ipairs { 1, 2, 3 } do
                moth.threads(count)
                assert.equal(count, moth.threads())
                local again, same = train(models[name], 17)
                assert(losses == same, ("losses differ with %d threads"):format(count))
                assert(weights == again, ("weights differ with %d threads"):format(count))
            end
            local other = train(models[name], 18)
            assert(weights ~= other, "another seed changed nothing")
        end)

        it(name .. ": are those of predict, evaluate and the model called on tensors", function()
            local _, _, model, x, y = train(models[name], 19)
            local eager, plan = model(x), model:predict(x, { batch_size = 7 })
            assert((eager - plan):abs():max():item() <= 1e-6)
            local loss = moth.losses.categorical_crossentropy {}
            local want = loss(y, eager):item()
            for _, layer in ipairs(model.layers) do
                if layer.config.kernel_regularizer then
                    want = want + 0.01 * layer.weights[1]:detach():square():sum():item()
                end
            end
            assert.near(want, model:evaluate(x, y, { batch_size = 7 }).loss, 1e-5)
        end)
    end

    it("do not depend on what was made in between, or on names", function()
        local weights = train(models.mlp, 23)
        local spec = {
            data = models.mlp.data, batch_size = models.mlp.batch_size,
            model = function()
                local model = moth.Sequential { name = "other" }
                for i, layer in ipairs {
                    layers.Dense { 250, activation = "relu", input_shape = { 20 }, kernel_regularizer = "l2",
                        name = "z" },
                    layers.Dropout { 0.3, name = "y" },
                    layers.Dense { 33, activation = "tanh", name = "x" },
                    layers.Dropout { 0.2, name = "w" }, layers.Dense { 5, activation = "softmax", name = "v" },
                } do
                    collectgarbage()
                    local _ = { i, layers.Dense { i } }
                    model:add(layer)
                end
                return model
            end,
        }
        assert(weights == train(spec, 23))
    end)

    it("differ between two models of one seed, and repeat in their order", function()
        local function two()
            moth.seed(29)
            return bits(models.mlp.model()), bits(models.mlp.model())
        end
        local a, b = two()
        local c, d = two()
        assert(a ~= b)
        assert(a == c and b == d)
    end)

    it("are the same in one fit of three epochs and in three fits of one", function()
        local weights = train(models.mlp, 31)
        moth.seed(31)
        local x, y = models.mlp.data()
        local model = models.mlp.model()
        model:compile { optimizer = "adam", loss = "categorical_crossentropy" }
        for epoch = 0, 2 do
            model:fit(x, y, { epochs = epoch + 1, initial_epoch = epoch, batch_size = 150, validation_split = 0.1,
                verbose = 0 })
        end
        assert(weights == bits(model))
    end)
end)

describe("random numbers", function()
    it("repeat after seed, whatever the number of threads", function()
        local threads = moth.threads()
        local function draw(count)
            moth.threads(count)
            moth.seed(5)
            local t = moth.cat({ moth.rand(5000), moth.randn(5000) }, 1)
            return t, moth.permutation(1000), moth.randint(0, 9, { 1000 })
        end
        local t, p, r = draw(1)
        for _, count in ipairs { 2, 3 } do
            local t2, p2, r2 = draw(count)
            assert(t:eq(t2):all():item() == 1)
            assert(p:eq(p2):all():item() == 1)
            assert(r:eq(r2):all():item() == 1)
        end
        moth.threads(threads)
        local sorted = p:totable()
        table.sort(sorted)
        for i, value in ipairs(sorted) do
            assert.equal(i, value)
        end
    end)
end)
