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
            assert.truthy(try { 2, recurrent_dropout = 0.1 }:find("'recurrent_dropout' must be 0", 1, true))
            assert.truthy(try { 2, stateful = true }:find("'stateful' must be false", 1, true))
            assert.has_no.errors(function()
                layers[name] { 2, recurrent_dropout = 0, stateful = false, unroll = true }
            end)
        end
    end)
end)
