-- The trials of a sweep: grids in order, random searches that follow from their seed, refusals.
local moth = require "moth"
local json = require "moth.json"
local space = require "moth.sweep_space"
local support = require "tests.spec.support"

describe("the trials of a grid", function()
    local function order(args)
        local list = {}
        for i, trial in ipairs((space.trials(args))) do
            list[i] = json.encode(trial.params)
        end
        return table.concat(list, " ")
    end

    it("are all combinations, names sorted, the last fastest", function()
        assert.are.equal('{"a":1,"b":"x"} {"a":1,"b":"y"} {"a":2,"b":"x"} {"a":2,"b":"y"}',
            order { grid = { b = { "x", "y" }, a = { 1, 2 } } })
        assert.are.equal('{"a":1,"seed":5} {"a":1,"seed":7} {"a":2,"seed":5} {"a":2,"seed":7}',
            order { grid = { a = { 1, 2 } }, seeds = { 5, 7 } })
        assert.are.equal('{"a":true,"seed":1} {"a":true,"seed":2}', order { grid = { a = true }, seeds = 2 })
    end)

    it("take tensors, whose numbers are the shortest decimals", function()
        assert.are.equal('{"d":0.1} {"d":0.325} {"d":0.55} {"d":0.775} {"d":1.0}',
            order { grid = { d = moth.linspace(0.1, 1.0, 5) } })
        assert.are.equal('{"d":1} {"d":2}', order { grid = { d = moth.tensor({ 1, 2 }, { dtype = "int32" }) } })
    end)

    it("have lists as values too", function()
        assert.are.equal('{"hidden":[128]} {"hidden":[64,64]}', order { grid = { hidden = { { 128 }, { 64, 64 } } } })
    end)

    it("have an identity and a seed that follow from their JSON", function()
        -- FNV-1a and the finalizer of SplitMix64, computed by Python.
        assert.are.equal("3120c7736dda9110", space.id { units = 64, dropout = 0.1 })
        assert.are.equal(1843040528, space.seed { units = 64, dropout = 0.1 })
        assert.are.equal("f012b85590ec2ffe", space.id { a = "é" })
        assert.are.equal(3, space.seed { seed = 3, dropout = 0.1 })
        assert.are_not.equal(space.id { a = 1 }, space.id { a = 1.0 })
    end)

    it("are refused where they cannot be kept", function()
        for message, grid in pairs {
            ["there is no parameter"] = {},
            ["the parameter a must have a list of values"] = { a = {} },
            ["must have a list of values; got a function"] = { a = print },
            ["the parameter a must be finite; got nan"] = { a = { 1, 0 / 0 } },
            ["the parameter a cannot be kept as JSON: a function cannot be written"] = { a = { print } },
            ["a parameter is named by a string; got 1"] = { { 1, 2 } },
            ["a distribution belongs into space"] = { a = space.uniform(0, 1) },
        } do
            local text = support.refusal(function() space.trials { grid = grid } end)
            assert.is_truthy(text:find(message, 1, true), text)
        end
        assert.has_error(function() space.trials { grid = { seed = { 1 } }, seeds = 2 } end)
        assert.has_error(function() space.trials { grid = { a = { 1 } }, seeds = { 1.5 } } end)
    end)
end)

describe("the trials of a random search", function()
    local distributions = {
        lr = space.log_uniform(1e-4, 1), n = space.integers(5, 9), x = space.uniform(-1, 1),
        act = space.choice { "relu", "tanh" }, fixed = 7,
    }

    it("are the same draws every time", function()
        local trials = space.trials { space = distributions, trials = 50, seed = 1671 }
        assert.are.equal(50, #trials)
        assert.are.same(trials, (space.trials { space = distributions, trials = 50, seed = 1671 }))
        assert.are_not.same(trials, (space.trials { space = distributions, trials = 50, seed = 1 }))
        -- Computed by Python from the same hash.
        assert.are.equal(0.00218223, trials[1].params.lr)
        assert.are.equal(7, trials[1].params.n)
        assert.are.equal(7, trials[2].params.n)
    end)

    it("do not change when more are wanted or another parameter is added", function()
        local few = space.trials { space = { lr = distributions.lr }, trials = 3, seed = 1 }
        local many = space.trials { space = distributions, trials = 30, seed = 1 }
        for i = 1, 3 do
            assert.are.equal(few[i].params.lr, many[i].params.lr)
        end
    end)

    it("fill their ranges evenly", function()
        local trials = space.trials { space = distributions, trials = 2000, seed = 1 }
        local decades, counts, sum, relu = {}, {}, 0, 0
        for _, trial in ipairs(trials) do
            local p = trial.params
            assert.is_true(p.lr >= 1e-4 and p.lr <= 1 and p.x >= -1 and p.x <= 1 and p.n >= 5 and p.n <= 9)
            assert.are.equal("integer", math.type(p.n))
            assert.are.equal(7, p.fixed)
            local decade = math.floor(math.log(p.lr, 10))
            decades[decade] = (decades[decade] or 0) + 1
            counts[p.n] = (counts[p.n] or 0) + 1
            sum = sum + p.x
            relu = relu + (p.act == "relu" and 1 or 0)
        end
        -- Five standard deviations around what is expected.
        for decade = -4, -1 do
            assert.is_true(math.abs(decades[decade] - 500) < 97)
        end
        for n = 5, 9 do
            assert.is_true(math.abs(counts[n] - 400) < 90)
        end
        assert.is_true(math.abs(sum / 2000) < 0.065)
        assert.is_true(math.abs(relu - 1000) < 112)
    end)

    it("are all different, and fewer where there are not enough", function()
        assert.are.equal(3, #space.trials { space = { n = space.integers(1, 3) }, trials = 10, seed = 1 })
    end)

    it("are refused with wrong ranges", function()
        for _, call in ipairs {
            function() moth.sweep.log_uniform(0, 1) end, function() moth.sweep.log_uniform(1, 1) end,
            function() moth.sweep.log_uniform("a", 1) end, function() moth.sweep.uniform(1, 0) end,
            function() moth.sweep.uniform(0, math.huge) end, function() moth.sweep.uniform(0 / 0, 1) end,
            function() moth.sweep.integers(1, 2.5) end, function() moth.sweep.integers() end,
            function() moth.sweep.choice {} end, function() moth.sweep.choice(5) end,
            function() moth.sweep.choice { print } end,
        } do
            assert.is_truthy(support.refusal(call):find("^sweep"))
        end
    end)
end)
