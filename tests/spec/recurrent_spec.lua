-- Recurrent layers: what they give back, what they start from, which of Keras's options they take.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers

local function wave(frequency, phase, scale, ...)
    local list, n = {}, 1
    for _, size in ipairs { ... } do
        n = n * size
    end
    for i = 0, n - 1 do
        list[i + 1] = scale * math.sin(frequency * i + phase)
    end
    return moth.tensor(list):reshape(...)
end

describe("a recurrent layer", function()
    -- Keras 3.15 (jax): x (2, 3, 2) = 0.8 sin(0.61 i + 0.3), weight k = 0.8 sin(0.53 i + 0.2 + k), initial state k =
    -- 0.5 sin(0.4 i + 1 + k), i over the elements in order, k from 0.
    local cases = {
        { "SimpleRNN", { 2, go_backwards = true, return_state = true }, {
            { 0.9865301, 0.9627368, 0.7442986, 0.246473 },
            { 0.9865301, 0.9627368, 0.7442986, 0.246473 },
        } },
        { "SimpleRNN", { 2, go_backwards = true, return_sequences = true, return_state = true }, {
            {
                0.8300655, 0.6781712, 0.9811675, 0.9715006, 0.9865301, 0.9627368,
                0.9327532, 0.8567209, 0.899434, 0.5484309, 0.7442986, 0.246473,
            },
            { 0.9865301, 0.9627368, 0.7442986, 0.246473 },
        } },
        { "GRU", { 2, go_backwards = true, return_state = true }, {
            { -0.2918833, -0.286959, -0.2610974, -0.3151469 },
            { -0.2918833, -0.286959, -0.2610974, -0.3151469 },
        } },
        { "GRU", { 2, go_backwards = true, return_sequences = true, return_state = true }, {
            {
                0.2119364, 0.1926237, -0.01417017, -0.04982742, -0.2918833, -0.286959,
                -0.04686295, -0.08317866, -0.2947697, -0.3004506, -0.2610974, -0.3151469,
            },
            { -0.2918833, -0.286959, -0.2610974, -0.3151469 },
        } },
        { "LSTM", { 2, go_backwards = true, return_state = true }, {
            { -0.1284135, -0.1528531, -0.1816998, -0.2340018 },
            { -0.1284135, -0.1528531, -0.1816998, -0.2340018 },
            { -0.2988539, -0.3074491, -0.9592877, -0.714773 },
        } },
        { "LSTM", { 2, go_backwards = true, return_sequences = true, return_state = true }, {
            {
                0.03110698, -0.06484328, -0.01917542, -0.1119119, -0.1284135, -0.1528531,
                -0.0415447, -0.09909737, -0.1745958, -0.2211064, -0.1816998, -0.2340018,
            },
            { -0.1284135, -0.1528531, -0.1816998, -0.2340018 },
            { -0.2988539, -0.3074491, -0.9592877, -0.714773 },
        } },
    }
    for i, case in ipairs(cases) do
        local name, options, expected = table.unpack(case)
        it(("%s gives outputs and states as Keras does, from states that are given (%d)"):format(name, i), function()
            local layer, inputs = layers[name](options), { wave(0.61, 0.3, 0.8, 2, 3, 2) }
            layer(inputs[1]) -- makes the weights
            local weights = {}
            for k, w in ipairs(layer.weights) do
                weights[k] = wave(0.53, k - 0.8, 0.8, table.unpack(w.shape))
            end
            layer:set_weights(weights)
            for k = 1, name == "LSTM" and 2 or 1 do
                inputs[k + 1] = wave(0.4, k, 0.5, 2, 2)
            end
            local results = table.pack(layer(inputs))
            assert.equal(#expected, results.n)
            for k, values in ipairs(expected) do
                support.close(values, results[k]:reshape(-1):totable(), 1e-6, ("result %d"):format(k))
            end
            local same = table.pack(layer(table.unpack(inputs))) -- the same tensors one by one
            assert.equal(1, same[1]:eq(results[1]):all():item())
        end)
    end

    it("says which of Keras's options it cannot do", function()
        for _, name in ipairs { "SimpleRNN", "GRU", "LSTM" } do
            local function try(options) return support.fails(function() layers[name](options) end) end
            assert.truthy(try { 2, stateful = true }:find("'stateful' must be false", 1, true))
            assert.has_no.errors(function() layers[name] { 2, stateful = false, unroll = true } end)
        end
    end)
end)

describe("recurrent_dropout", function()
    local threads = moth.threads()
    after_each(function() moth.threads(threads) end)

    -- A layer whose states are nothing but what went through the product: with states of 1 it shows its masks.
    local function bare(name, options)
        local all = { 3, use_bias = false, activation = "linear", kernel_initializer = "zeros" }
        for key, value in pairs(options) do
            all[key] = value
        end
        return layers[name](all)
    end

    it("sets the same states to 0 at every step, in training only, and scales the others up", function()
        local layer = bare("SimpleRNN", {
            recurrent_dropout = 0.75, recurrent_initializer = "identity", return_sequences = true,
        })
        local x, h = moth.zeros(500, 3, 1), moth.ones(500, 3)
        local y, kept, seen = layer({ x, h }, { training = true }), 0, {}
        for _, steps in ipairs(y:totable()) do
            for k = 1, 3 do
                local first = steps[1][k]
                assert(first == 0 or first == 4)
                assert.same({ first, first ^ 2, first ^ 3 }, { steps[1][k], steps[2][k], steps[3][k] })
                kept = kept + (first > 0 and 1 or 0)
            end
            seen[table.concat(steps[1], " ")] = true
        end
        assert(math.abs(kept / 1500 - 0.25) < 0.04, "a quarter is kept: " .. kept)
        assert(next(seen, next(seen)), "samples have masks of their own")
        assert.equal(1, layer({ x, h }):eq(moth.ones(500, 3, 3)):all():item())
        local again = layer({ x, h }, { training = true })
        assert.equal(0, again:eq(y):all():item(), "a mask of its own for each run")
    end)

    -- Keras draws a mask for each gate. With linear gates, states of 1 and no input: c = f c + i g, h = o c, and each
    -- of i, f, g, o is 0 or 2; their means are 1 each, so the mean of h is that of c, 2. One mask for all gates would
    -- give c = 0 or 6 and h = 0 or 12.
    it("of an LSTM draws for each gate", function()
        local layer = bare("LSTM", {
            recurrent_dropout = 0.5, recurrent_activation = "linear", return_state = true,
        })
        local one = moth.ones(2000, 3)
        layer { moth.zeros(1, 1, 1) }
        layer:set_weights { moth.zeros(1, 12), moth.cat({ moth.eye(3), moth.eye(3), moth.eye(3), moth.eye(3) }, 2) }
        local h, _, c = layer({ moth.zeros(2000, 1, 1), one, one }, { training = true })
        local count = {}
        for _, row in ipairs(c:totable()) do
            for _, value in ipairs(row) do
                count[value] = (count[value] or 0) + 1
            end
        end
        for value, share in pairs { [0] = 3 / 8, [2] = 3 / 8, [4] = 1 / 8, [6] = 1 / 8 } do
            assert(math.abs(count[value] / 6000 - share) < 0.03, ("%g: %d"):format(value, count[value]))
        end
        assert(math.abs(h:mean():item() - 2) < 0.25)
    end)

    -- The masks are those of the seed, so finite differences see one function.
    for number, name in ipairs { "SimpleRNN", "LSTM", "GRU", "GRU" } do
        it(("of %s has the gradients of finite differences (%d)"):format(name, number), function()
            local options = { 3, recurrent_dropout = 0.4, return_sequences = true }
            options.dropout = name == "LSTM" and 0.3 or nil
            if number == 4 then
                options.reset_after = false
            end
            local layer, x, r = layers[name](options), wave(0.7, 0.2, 1, 2, 4, 3), wave(1.3, 0, 1, 2, 4, 3)
            layer(x)
            local function loss()
                moth.seed(5)
                return (layer(x, { training = true }) * r):sum()
            end
            moth.no_grad(function()
                for k, w in ipairs(layer.weights) do
                    w:copy_(wave(0.53, k, 0.8, table.unpack(w.shape)))
                end
            end)
            loss():backward()
            for _, w in ipairs(layer.weights) do
                local grad, found, value = w.grad:flatten():totable(), {}, w:clone():detach()
                for i = 1, w:numel() do
                    local shift = moth.one_hot(moth.tensor({ i - 1 }, { dtype = "int32" }), w:numel()):reshape(w.shape)
                    local sides = {}
                    for side = -1, 1, 2 do
                        moth.no_grad(function() w:copy_(value + shift * (side * 0.01)) end)
                        sides[side] = loss():item()
                    end
                    moth.no_grad(function() w:copy_(value) end)
                    found[i] = (sides[1] - sides[-1]) / 0.02
                end
                support.close(found, grad, 4e-3)
            end
        end)
    end

    local function net()
        moth.seed(4)
        local model = moth.Sequential {
            layers.Bidirectional {
                layers.GRU { 5, recurrent_dropout = 0.3, dropout = 0.2, return_sequences = true },
                input_shape = { 4, 3 },
            },
            layers.LSTM { 4, recurrent_dropout = 0.5 }, layers.Dense { 1 },
        }
        model:compile { optimizer = "adam", loss = "mse" }
        return model
    end
    local x, y = wave(0.3, 0.5, 1, 150, 4, 3), wave(0.9, 0.1, 1, 150, 1)

    local function bits(model)
        local parts = {}
        for _, w in ipairs(model:get_weights()) do
            parts[#parts + 1] = table.concat(w:flatten():totable(), " ")
        end
        return table.concat(parts, " ")
    end

    it("trains to the same bits on any number of threads", function()
        local found = {}
        for count = 1, 3 do
            moth.threads(count)
            local model = net()
            model:fit(x, y, { epochs = 2, batch_size = 100, verbose = 0 })
            found[count] = bits(model)
        end
        assert.equal(found[1], found[2])
        assert.equal(found[1], found[3])
    end)

    it("is saved: training goes on to the same bits; it stands in the JSON and in copies", function()
        local path, options = os.tmpname(), { epochs = 1, verbose = 0, shuffle = false }
        local model = net()
        model:fit(x, y, options)
        model:save(path)
        local loaded = moth.load_model(path)
        os.remove(path)
        model:fit(x, y, options)
        loaded:fit(x, y, options)
        assert.equal(bits(model), bits(loaded))
        assert.truthy(model:to_json():find('"recurrent_dropout":%s*0.5'))
        assert.equal(0.5, moth.model_from_json(model:to_json()).layers[2].config.recurrent_dropout)
        assert.equal(0.5, model:clone().layers[2].config.recurrent_dropout)
        assert.equal(1, model:predict(x):eq(loaded:predict(x)):all():item())
    end)

    it("must be a share", function()
        local wrong = { ["-0.1"] = -0.1, ["1.5"] = 1.5, nan = 0 / 0, ["a string"] = "x", ["a boolean"] = true }
        for _, name in ipairs { "SimpleRNN", "GRU", "LSTM" } do
            for shown, value in pairs(wrong) do
                local message = support.fails(function() layers[name] { 2, recurrent_dropout = value } end)
                assert.truthy(message:find("option 'recurrent_dropout' must be", 1, true), message)
                assert.truthy(message:find("got " .. shown, 1, true), message)
            end
        end
    end)

    it("of 1 leaves nothing of the states", function()
        for _, name in ipairs { "SimpleRNN", "GRU", "LSTM" } do
            local layer = layers[name] { 2, recurrent_dropout = 1, recurrent_initializer = "ones" }
            local all, without = layer(wave(1, 0, 1, 2, 3, 2), { training = true }), layer.weights
            without[2] = without[2] * 0
            layer:set_weights(without)
            support.close(layer(wave(1, 0, 1, 2, 3, 2)):totable(), all:totable(), 1e-6)
        end
    end)
end)
