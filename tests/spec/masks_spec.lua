-- What layers compute at steps that a mask leaves out. All expected values are Keras 3.15's, for the same numbers.

local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers

describe("layers that join masked tensors", function()
    local first = { { { 1, 2 }, { 9, 9 }, { 3, -4 }, { 9, 9 } } }
    local second = { { { 5, -1 }, { 2, 7 }, { 9, 9 }, { 9, 9 } } }
    local function masked(values) return layers.Masking { 9 } (moth.tensor(values)) end

    local both = {
        Multiply = { { 5, -2 }, { 2, 7 }, { 3, -4 }, { 0, 0 } },
        Maximum = { { 5, 2 }, { 2, 7 }, { 3, -4 }, { 0, 0 } },
        Minimum = { { 1, -1 }, { 2, 7 }, { 3, -4 }, { 0, 0 } },
        Add = { { 6, 1 }, { 2, 7 }, { 3, -4 }, { 0, 0 } },
    }
    local one = {
        Multiply = { { 5, -2 }, { 2, 7 }, { 27, -36 }, { 9, 9 } },
        Maximum = { { 5, 2 }, { 2, 7 }, { 9, 9 }, { 9, 9 } },
        Minimum = { { 1, -1 }, { 2, 7 }, { 3, -4 }, { 9, 9 } },
        Add = { { 6, 1 }, { 2, 7 }, { 12, 5 }, { 9, 9 } },
    }
    for _, name in ipairs { "Multiply", "Maximum", "Minimum", "Add" } do
        it(name .. " takes the steps that count", function()
            assert.same({ both[name] }, layers[name] {} { masked(first), masked(second) }:totable())
            assert.same({ one[name] }, layers[name] {} { masked(first), moth.tensor(second) }:totable())
        end)

        it(name .. " does so in a model", function()
            local x, y = moth.Input { 4, 2 }, moth.Input { 4, 2 }
            local mask = layers.Masking { 9 }
            local model = moth.Model { inputs = { x, y }, outputs = { layers[name] {} { mask(x), mask(y) } } }
            assert.same({ both[name] }, model:predict({ moth.tensor(first), moth.tensor(second) }):totable())
        end)
    end

    it("Maximum of three, one of them without a mask", function()
        local x, y = masked(first), moth.tensor(second)
        local z = moth.tensor(first) * -1
        z.mask = moth.tensor({ { 1, 1, 1, 1 } }, { dtype = "uint8" })
        assert.same({ { { 5, 2 }, { 2, 7 }, { 9, 9 }, { 9, 9 } } }, layers.Maximum {} { x, y, z }:totable())
    end)
end)

describe("MultiHeadAttention on itself", function()
    local values = { { { 1, 2 }, { 9, 9 }, { 3, -4 } }, { { 9, 9 }, { 0.5, 1 }, { 9, 9 } } }

    -- Weight n, counted from 0: sin of 0.7 + 0.1 n times 1, 2, 3 …
    local function fill(model)
        local weights = model:get_weights()
        for n, w in ipairs(weights) do
            local count = moth.arange(1, w:numel()):to("float32")
            weights[n] = (count * (0.7 + 0.1 * (n - 1))):sin():reshape(w.shape)
        end
        model:set_weights(weights)
    end

    local first = {
        [false] = { 0.320807993, -3.57546401, 1.48754001, -0.627340019, 0.31732899, -3.58277893 },
        [true] = { 2.72660208, 1.48262095, 1.48754001, -0.627340019, 0.31732899, -3.58277893 },
    }
    local second = { 1.63690305, 0.429365993, 2.07278204, 0.850668013, 1.63690305, 0.429365993 }
    for _, causal in ipairs { false, true } do
        it(("gives at steps that do not count the mean of all values (causal: %s)"):format(causal), function()
            local model = moth.Sequential {
                layers.Masking { 9, input_shape = { 3, 2 } },
                layers.MultiHeadAttention { 1, 2, use_causal_mask = causal },
            }
            fill(model)
            local got, want = support.flat(model:predict(moth.tensor(values)):totable()), {}
            for k = 1, 6 do
                want[k], want[6 + k] = first[causal][k], second[k]
            end
            for k, value in ipairs(want) do
                support.close(value, got[k], 1e-5, "element " .. k)
            end
        end)
    end
end)
