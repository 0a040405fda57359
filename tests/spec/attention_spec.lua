-- MultiHeadAttention: its penalty on activations, which is one on those of every part, and its first weights, where
-- fans are products of several dims: (inputs, heads, size) has as many inputs as its first dim says, and (heads, size,
-- outputs) heads times size, as Keras 3.15 draws them.

local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers

local INPUTS, HEADS, KEY, VALUE = 20, 4, 30, 20
local fans = {
    { INPUTS, HEADS * KEY }, { INPUTS, HEADS * KEY }, { INPUTS, HEADS * VALUE }, { HEADS * VALUE, INPUTS },
}

local function kernels(initializer)
    local model = moth.Sequential { layers.MultiHeadAttention {
        HEADS, KEY, value_dim = VALUE, kernel_initializer = initializer, use_bias = false, input_shape = { 8, INPUTS },
    } }
    return model:get_weights()
end

-- Loss with the penalty, by Keras 3.15 for the same numbers: weight n is sin of 0.7, 0.8 … times 1, 2, 3 …
local penalized = { [true] = 36.4539299, [false] = 13.1772184 }

describe("MultiHeadAttention", function()
    for biased, want in pairs(penalized) do
        it(("penalizes what every part gives (use_bias: %s)"):format(biased), function()
            local model = moth.Sequential { layers.MultiHeadAttention {
                2, 2, use_bias = biased, activity_regularizer = moth.regularizers.l1 { 0.1 }, input_shape = { 3, 2 },
            } }
            local weights = model:get_weights()
            for n, w in ipairs(weights) do
                local count = moth.arange(1, w:numel()):to("float32")
                weights[n] = (count * (0.7 + 0.1 * (n - 1))):sin():reshape(w.shape)
            end
            model:set_weights(weights)
            model:compile { loss = "mse" }
            local x = moth.tensor({ { { 1, 2 }, { 9, 9 }, { 3, -4 } }, { { 9, 9 }, { 0.5, 1 }, { 9, 9 } } })
            support.close(want, model:evaluate(x, moth.zeros(2, 3, 2), { verbose = 0 }).loss, 1e-5, "loss")
        end)
    end

    for name, range in pairs {
        glorot_uniform = function(from, to) return (6 / (from + to)) ^ 0.5 end,
        he_uniform = function(from) return (6 / from) ^ 0.5 end,
    } do
        it("draws its kernels within the range of " .. name, function()
            local list = kernels(name)
            assert.equal(4, #list)
            for part, kernel in ipairs(list) do
                local largest, limit = kernel:abs():max():item(), range(table.unpack(fans[part]))
                assert.is_true(largest <= limit * (1 + 1e-6) and largest > limit * 0.98,
                    ("part %d: %g of %g"):format(part, largest, limit))
            end
        end)
    end
end)
