-- The first weights of MultiHeadAttention, where fans are products of several dims: (inputs, heads, size) has as many
-- inputs as its first dim says, and (heads, size, outputs) heads times size, as Keras 3.15 draws them.

local moth = require "moth"
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

describe("MultiHeadAttention", function()
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
