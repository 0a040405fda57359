-- Layers written in Lua: weights, state, penalties, what their functions may do, how long they live.
local moth = require "moth"
local support = require "tests.spec.support"
local layers = moth.layers
local fails = support.refuses

local function largest_difference(a, b)
    return (a - b):abs():max():item()
end

describe("a layer in Lua", function()
    local x, y = moth.rand(8, 4), moth.rand(8, 3)

    local function with(definition)
        definition.name = definition.name or "Own"
        local model = moth.Sequential { layers.Dense { 3, input_shape = { 4 } }, moth.Layer(definition) }
        return model:compile { loss = "mse", optimizer = moth.optimizers.SGD { lr = 0.1 } }
    end

    it("has weights that train, with penalties", function()
        local model = with {
            build = function(self, shape)
                assert.same({ 3 }, shape)
                self.w = self:add_weight("w", shape, "ones", { regularizer = moth.regularizers.l2 { 0.5 } })
            end,
            call = function(self, input) return input * self.w end,
        }
        assert.equal("own_1", model.layers[2].name)
        assert.equal(3, #model:parameters())
        local p = model:predict(x)
        assert.near((p - y):square():mean():item() + 1.5, model:evaluate(x, y).loss, 1e-5)
        model:fit(x, y, { verbose = 0 })
        assert(largest_difference(model:get_weights()[3], moth.ones(3)) > 0)
    end)

    -- Nothing in Lua refers to the layers of these models; the functions still get theirs, with its fields.
    it("stays what it is while a model has it, and goes with the last one", function()
        local core = require "moth.core"
        local function scaled(factor)
            return moth.Layer {
                name = "Scaled", config = { factor = factor },
                build = function(self, shape) self.w = self:add_weight("w", shape, "ones") end,
                call = function(self, input) return input * self.w * self.factor end,
            }
        end
        local function collected()
            for _ = 1, 4 do
                collectgarbage()
            end
            return core.live_bytes()
        end
        local function check()
            local one, input, path = moth.ones(1, 4), moth.Input { 4 }, os.tmpname()
            local models = { moth.Sequential { layers.Flatten { input_shape = { 4 } }, scaled(3) } }
            collected()
            models[2] = moth.Model { inputs = input, outputs = scaled(3)(layers.Flatten {} (input)) }
            models[1]:save(path)
            models[3] = moth.load_model(path, { custom = { Scaled = scaled(1) } })
            os.remove(path)
            local half = scaled(3)(input)
            collected()
            models[4] = moth.Model { inputs = input, outputs = half }
            models[5] = moth.Sequential {}
            models[5]:add(models[1])
            models[1] = models[1]:clone()
            collected()
            for k, model in ipairs(models) do
                assert.same({ { 3, 3, 3, 3 } }, model:predict(one):totable(), k)
                local last = model.layers[#model.layers]
                assert.equal(3, last.factor)
                assert.same({ 4 }, last.w.shape)
            end
        end
        check()
        local before = collected()
        check()
        assert.equal(before, collected())
    end)

    it("keeps the fields that are given to a layer of the engine", function()
        local model = moth.Sequential { layers.Dense { 1, input_shape = { 1 } } }
        model.layers[1].note = "first"
        collectgarbage()
        collectgarbage()
        assert.equal("first", model.layers[1].note)
    end)

    it("changes its state in training only, once a step", function()
        for _, guarded in ipairs { true, false } do
            local model = with {
                build = function(self) self.n = self:add_weight("n", {}, "zeros", { trainable = false }) end,
                call = function(self, input, options)
                    if options.training or not guarded then
                        self:assign(self.n, self.n + 1)
                    end
                    return input
                end,
            }
            model:evaluate(x, y)
            model:predict(x)
            model(x)
            assert.equal(0, model:get_weights()[3]:item())
            model:fit(x, y, { verbose = 0, epochs = 3, batch_size = 4 })
            assert.equal(6, model:get_weights()[3]:item())
            model(x, { training = true })
            assert.equal(7, model:get_weights()[3]:item())
        end
    end)

    it("adds weights while it is built, at no other time", function()
        local function same(_, input) return input end
        local late = with { call = same }
        fails("in the layer's build function", function() late.layers[2]:add_weight("w", { 3 }) end)
        fails("in the layer's build function", function() late.layers[1]:add_weight("w", { 3 }) end)
        fails("in the layer's build function", function()
            with { call = function(self, input) return input * self:add_weight("w", { 3 }) end }
        end)
        fails("there is a weight 'w' already", function()
            with { call = same, build = function(self)
                self:add_weight("w", { 3 })
                self:add_weight("w", { 3 })
            end }
        end)
        fails("did you mean 'zeros'?", function()
            with { call = same, build = function(self) self:add_weight("w", { 3 }, "zeross") end }
        end)
        fails("add_weight", function()
            with { call = same, build = function(self) self:add_weight("w", { -3 }) end }
        end)
        fails("just being built", function()
            with { call = same, build = function(self) self(moth.rand(2, 3)) end }
        end)
        -- A weight that could not be made is none.
        local model = with { call = same, build = function(self)
            assert(not pcall(self.add_weight, self, "w", { 2 ^ 39, 2 ^ 39 }))
        end }
        assert.equal(2, #model:get_weights())
    end)

    it("is told what is wrong with it", function()
        fails("Layer: name is missing", function() moth.Layer {} end)
        fails("Layer: call is missing", function() moth.Layer { name = "Own" } end)
        fails("call must be a function; got 3", function() moth.Layer { name = "Own", call = 3 } end)
        fails('did you mean "call"?', function() moth.Layer { name = "Own", cal = print } end)
        fails("own fault", function() with { call = function() error("own fault") end } end)
        fails("own fault", function()
            with { build = function() error("own fault") end, call = function(_, input) return input end }
        end)
        fails("the function returned 0 values", function() with { call = function() end } end)
        local whole = with { call = function(_, input) return input:sum() end }
        fails("no row for each sample", function() whole:predict(x) end)
    end)

    it("may be a Lambda, also one that needs the whole batch", function()
        local center = moth.Sequential { layers.Lambda { function(input) return input - input:mean(1, true) end,
            input_shape = { 4 } } }
        local want = moth.cat({ x:slice(1, 1, 5) - x:slice(1, 1, 5):mean(1, true),
            x:slice(1, 6, 8) - x:slice(1, 6, 8):mean(1, true) }, 1)
        assert(largest_difference(want, center:predict(x, { batch_size = 5 })) < 1e-6)
        local reshape = moth.Sequential { layers.Lambda { function(input)
            return input:reshape(input.shape[1], 2, 2):sum(-1)
        end, input_shape = { 4 } } }
        assert.same({ 8, 2 }, reshape:predict(x, { batch_size = 3 }).shape)
        fails("must be a function", function() layers.Lambda(3) end)
    end)
end)
