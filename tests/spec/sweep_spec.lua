local moth = require "moth"
local json = require "moth.json"
local space = require "moth.sweep_space"
local support = require "tests.spec.support"

local directory

before_each(function() directory = support.directory() end)
after_each(function() support.remove(directory) end)

local function text_of(path)
    local file = io.open(path, "rb")
    local text = file and file:read("a")
    if file then
        file:close()
    end
    return text
end

local function lines_in(path)
    local _, count = (text_of(path) or ""):gsub("\n", "")
    return count
end

-- A sweep that runs in this process and shows nothing.
local function sweep(args)
    args.name, args.dir, args.workers, args.verbose = args.name or "s", directory, 1, 0
    return moth.sweep(args)
end

local function refusal(call)
    local done, message = pcall(call)
    assert.is_false(done)
    assert.is_nil(message:find("\n"))
    return message
end

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
            local text = refusal(function() space.trials { grid = grid } end)
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
            assert.is_truthy(refusal(call):find("sweep_spec.lua:%d+: sweep"))
        end
    end)
end)

describe("a sweep", function()
    it("runs each trial once with its parameters, and keeps results", function()
        local seen = {}
        local s = sweep { grid = { a = { 1, 2 }, b = { "x" } }, trial = function(p)
            seen[#seen + 1] = json.encode(p)
            p.a = 100
            return { loss = 1 / #seen, note = "n", good = true, tensor = moth.tensor { 0.5 } }
        end }
        assert.are.same({ '{"a":1,"b":"x"}', '{"a":2,"b":"x"}' }, seen)
        assert.are.equal(2, lines_in(directory .. "/s/trials.jsonl"))
        local records = s:records()
        assert.are.equal(2, #records)
        assert.are.same({ a = 1, b = "x" }, records[1].params)
        assert.are.same({ loss = 1.0, note = "n", good = true, tensor = 0.5 }, records[1].result)
        assert.are.equal("done", records[1].status)
        local line = json.decode(text_of(directory .. "/s/trials.jsonl"):match("^[^\n]+"))
        assert.are.equal(space.id { a = 1, b = "x" }, line.id)
        assert.are.equal(space.seed { a = 1, b = "x" }, line.seed)
        assert.is_true(line.seconds >= 0)
    end)

    it("does not run again what is finished, failures included", function()
        local runs = 0
        local function again(values)
            return sweep { grid = { a = values }, trial = function(p)
                runs = runs + 1
                assert(p.a ~= 2, "two is no good")
                return { loss = p.a }
            end }
        end
        again { 1, 2 }
        local s = again { 1, 2 }
        assert.are.equal(2, runs)
        again { 3, 2, 1 }
        assert.are.equal(3, runs)
        assert.are.equal("failed", s:records()[2].status)
        sweep { grid = { a = { 1 } }, resume = false, trial = function()
            runs = runs + 1
            return 1
        end }
        assert.are.equal(4, runs)
        assert.are.equal(1, lines_in(directory .. "/s/trials.jsonl"))
    end)

    it("gives each trial its seed", function()
        local drawn = {}
        local function draw(p)
            local key = json.encode(p)
            local value = moth.rand(1)[1] + math.random()
            drawn[key] = drawn[key] or value
            return { same = drawn[key] == value, value = value }
        end
        local first = sweep { name = "one", grid = { a = { 1, 2 } }, trial = draw }
        moth.rand(100)
        sweep { name = "two", grid = { a = { 2, 1 } }, trial = draw }
        for _, record in ipairs(sweep({ name = "two", grid = { a = { 2, 1 } }, trial = draw }):records()) do
            assert.is_true(record.result.same)
        end
        assert.are_not.equal(first:records()[1].result.value, first:records()[2].result.value)
        -- The parameter seed is the seed: the same for trials that differ in another parameter.
        local seeded = sweep { name = "three", grid = { a = { 1, 2 } }, seeds = 1, trial = draw }
        assert.are.equal(seeded:records()[1].result.value, seeded:records()[2].result.value)
    end)

    it("records errors and goes on", function()
        local s = sweep { grid = { a = { 1, 2, 3, 4, 5, 6 } }, trial = function(p)
            if p.a == 1 then
                error("first line\nsecond line")
            elseif p.a == 2 then
                error { code = 1 }
            elseif p.a == 3 then
                return "text"
            elseif p.a == 4 then
                return { [1] = 2 }
            elseif p.a == 5 then
                return { f = print }
            end
            return 0.5
        end }
        local errors = {}
        for i, record in ipairs(s:records()) do
            errors[i] = (record.error or ""):gsub("^[^:]*spec%.lua:%d+: ", "")
        end
        assert.are.equal("first line", errors[1])
        assert.is_truthy(errors[2]:find("^table: "))
        assert.is_truthy(errors[3]:find('a trial must return a table of results', 1, true))
        assert.is_truthy(errors[4]:find("a result is named by a string; got 1", 1, true))
        assert.is_truthy(errors[5]:find("the result f must be a number, string or boolean; got a function", 1, true))
        assert.are.same({ value = 0.5 }, s:records()[6].result)
    end)

    it("keeps results that are not finite", function()
        sweep { grid = { a = { 1, 2 } }, trial = function(p) return { loss = p.a == 1 and 0 / 0 or math.huge } end }
        local s = sweep { grid = { a = { 1, 2 } }, trial = error }
        assert.is_true(s:records()[1].result.loss ~= s:records()[1].result.loss)
        assert.are.equal(math.huge, s:records()[2].result.loss)
    end)

    it("drops torn and foreign lines and goes on behind them", function()
        local function run()
            return sweep { grid = { a = { 1, 2, 3 } }, trial = function(p) return { loss = p.a } end }
        end
        run()
        local path = directory .. "/s/trials.jsonl"
        local whole = text_of(path)
        for cut = 1, #whole, 7 do
            support.write(path, whole:sub(1, cut) .. (cut % 2 == 0 and "\0\255{]\n[]\n" or ""))
            local s = run()
            local losses = {}
            for i, record in ipairs(s:records()) do
                losses[i] = record.result.loss
            end
            assert.are.same({ 1, 2, 3 }, losses)
            assert.are.equal(3, lines_in(path))
        end
    end)

    it("keeps a record behind a line that was torn while others went on", function()
        sweep { grid = { a = { 1, 2, 3 } }, trial = function(p)
            if p.a == 2 then
                local file = io.open(directory .. "/s/trials.jsonl", "ab")
                file:write('{"id":"to')
                file:close()
            end
            return { loss = p.a }
        end }
        local s = sweep { grid = { a = { 1, 2, 3 } }, trial = error }
        assert.are.equal(2, s:records()[2].result.loss)
        assert.are.equal(3, lines_in(directory .. "/s/trials.jsonl"))
    end)

    it("is run by one process at a time", function()
        local inner
        sweep { grid = { a = { 1 } }, trial = function()
            inner = refusal(function() sweep { grid = { a = { 1, 2 } }, resume = false, trial = print } end)
            return 1
        end }
        assert.is_truthy(inner:find("sweep s: it is being run already (" .. directory .. "/s)", 1, true), inner)
        assert.has_error(function()
            sweep { grid = { a = { 1, 2 } }, trial = function() error("interrupted", 0) end }
        end)
        assert.are.equal(2, #sweep({ grid = { a = { 1, 2 } }, trial = function() return 2 end }):records())
    end)

    it("removes the claims of a run that was killed", function()
        os.execute("mkdir -p " .. directory .. "/s/claims-x/y")
        sweep { grid = { a = { 1 } }, trial = function() return 1 end }
        assert.are.same({ "trials.jsonl" }, require("moth.core").list_directory(directory .. "/s"))
    end)

    it("raises Ctrl-C and does not record it", function()
        local message = refusal(function()
            sweep { grid = { a = { 1, 2, 3 } }, trial = function(p)
                if p.a == 2 then
                    error("interrupted!", 0)
                end
                return 1
            end }
        end)
        assert.is_truthy(message:find("interrupted"))
        assert.are.equal(1, lines_in(directory .. "/s/trials.jsonl"))
    end)

    it("ends when Ctrl-C ended the fit of a trial", function()
        local callback, callbacks = require "moth.callback", require "moth.callbacks"
        local runs = 0
        assert.has_error(function()
            sweep { grid = { a = { 1, 2, 3 } }, trial = function()
                runs = runs + 1
                local params = { interrupted = true }
                local list = callback.list(nil, { model = {}, params = params, history = callbacks.History {} })
                list:call("on_train_end", {})
                return 1
            end }
        end)
        assert.are.equal(1, runs)
        assert.is_nil(text_of(directory .. "/s/trials.jsonl"))
    end)

    it("refuses wrong arguments", function()
        local function trial() return 1 end
        for message, args in pairs {
            ["sweep: name is missing"] = { trial = trial, grid = { a = 1 } },
            ["name must be a name of letters"] = { name = "../up", trial = trial, grid = { a = 1 } },
            ["sweep: trial is missing"] = { name = "s", grid = { a = 1 } },
            ["give either grid, or space"] = { name = "s", trial = trial },
            ["give either grid, or space "] = { name = "s", trial = trial, grid = { a = 1 }, space = { a = 1 } },
            ["a random search needs trials"] = { name = "s", trial = trial, space = { a = 1 } },
            ["trials belongs to space"] = { name = "s", trial = trial, grid = { a = 1 }, trials = 5 },
            ["workers must be at least 1"] = { name = "s", trial = trial, grid = { a = 1 }, workers = 0 },
            ['unknown option "grids"; did you mean "grid"?'] = { name = "s", trial = trial, grids = {} },
            ["prune must be the name of a metric"] = { name = "s", trial = trial, grid = { a = 1 }, prune = 5 },
            ['cannot tell whether "fitness" should rise'] = { name = "s", trial = trial, grid = { a = 1 },
                prune = "fitness" },
            ['sweep: prune: unknown option "warm"'] = { name = "s", trial = trial, grid = { a = 1 },
                prune = { "loss", warm = 1 } },
        } do
            args.dir = directory
            local text = refusal(function() moth.sweep(args) end)
            assert.is_truthy(text:find(message, 1, true), text)
            assert.is_truthy(text:find("sweep_spec.lua:", 1, true), text)
        end
    end)
end)

describe("the results of a sweep", function()
    local function results()
        return sweep { grid = { dropout = { 0.1, 0.5, 1.0 }, units = { 16 } }, seeds = { 1, 2, 3 }, trial = function(p)
            assert(p.dropout < 1 or p.seed > 1, "no good")
            return { val_accuracy = 0.9 - p.dropout / 10 + p.seed / 1000, loss = p.dropout, n = 5 }
        end }
    end

    it("are a table with median and range over the seeds", function()
        assert.are.equal(table.concat({
            "dropout  units  loss    n  val_accuracy",
            "0.1      16     0.1000  5  0.8920 (0.8910 to 0.8930)",
            "0.5      16     0.5000  5  0.8520 (0.8510 to 0.8530)",
            "1        16     1.0000  5  0.8025 (0.8020 to 0.8030)  1 failed: "
                .. results():records()[7].error,
        }, "\n"), tostring(results()))
    end)

    it("are printed to standard output", function()
        local progress = require "moth.progress"
        local result, shown = progress.default().result, nil
        finally(function() progress.default().result = result end)
        progress.default().result = function(_, text) shown = text end
        local s = results()
        assert.is_nil(s:table())
        assert.are.equal(tostring(s), shown)
    end)

    it("have a best one by the metric's direction", function()
        local s = results()
        local best = s:best "val_accuracy"
        assert.are.same({ dropout = 0.1, units = 16 }, best.params)
        assert.is_true(math.abs(best.value - 0.892) < 1e-12)
        assert.are.equal("dropout=0.1 units=16: val_accuracy 0.8920", tostring(best))
        assert.are.equal(0.1, s:best("loss").params.dropout)
        assert.are.equal(1.0, s:best("loss", "max").params.dropout)
        assert.are.equal("val_accuracy", s:best("val_acc").metric)
        assert.is_truthy(refusal(function() s:best "val_acuracy" end):find('did you mean "val_accuracy"?', 1, true))
        assert.is_truthy(refusal(function() s:best "n" end):find("cannot tell whether", 1, true))
        assert.is_truthy(refusal(function() s:best() end):find("no result named nil", 1, true))
    end)

    it("are plotted over one parameter and over two", function()
        local s = sweep { grid = { lr = { 1e-4, 1e-3, 1e-2, 1e-1 }, act = { "relu", "tanh" } }, trial = function(p)
            return { val_loss = p.lr * (p.act == "relu" and 1 or 2) }
        end }
        local file = directory .. "/lr.svg"
        assert.are.equal(file, s:plot("lr", "val_loss", file))
        local text = text_of(file)
        for _, label in ipairs { ">lr<", ">val loss (median and range)<", ">0.001<", ">0.1<" } do
            assert.is_truthy(text:find(label, 1, true), label)
        end
        -- The range over the other parameter is a band.
        assert.is_truthy(text:find("fill-opacity", 1, true))
        s:plot("act", "val_loss", file)
        assert.is_truthy(text_of(file):find(">tanh<", 1, true))
        s:plot({ "lr", "act" }, "val_loss", file)
        text = text_of(file)
        for _, label in ipairs { ">relu<", ">0.0001<", ">0.002<", ">val loss<" } do
            assert.is_truthy(text:find(label, 1, true), label)
        end
        assert.is_truthy(refusal(function() s:plot("lrr", "val_loss") end):find('did you mean "lr"?', 1, true))
        assert.is_truthy(refusal(function() s:plot("lr", "loss") end):find('no result named "loss"', 1, true))
        assert.is_truthy(refusal(function() s:plot({}, "val_loss") end):find("one parameter or two; got 0", 1, true))
    end)
end)

describe("the median rule", function()
    -- Trials report fixed values; returned is how far each came.
    local function steps_of(prune, series)
        local steps, indices = {}, {}
        for i in ipairs(series) do
            indices[i] = i
        end
        local s = sweep { grid = { i = indices }, prune = prune, trial = function(p, report)
            for step, value in ipairs(series[p.i]) do
                steps[p.i] = step
                if report(step, value) then
                    break
                end
            end
            return { val_accuracy = series[p.i][steps[p.i]] }
        end }
        return steps, s
    end

    it("ends a trial whose best is below the median of earlier waves", function()
        local steps, s = steps_of({ "val_accuracy", startup = 3, wave = 2 }, {
            { 0.1, 0.2, 0.3 }, { 0.2, 0.3, 0.4 }, { 0.3, 0.4, 0.5 }, -- medians 0.2 0.3 0.4
            { 0.2, 0.25, 0.9 },  -- ended at step 2
            { 0.3, 0.1, 0.41 },  -- its best is 0.3, then 0.3 (the median), then 0.41: goes on
            { 0.2, 0.2, 0.2 },   -- a wave later; step 2 has 0.2 0.25 0.3 0.4 0.1: median 0.25
            { 0.19 },            -- step 1 has 0.1 0.2 0.3 0.2 0.3: median 0.2
        })
        assert.are.same({ 3, 3, 3, 2, 3, 2, 1 }, steps)
        local states = {}
        for i, record in ipairs(s:records()) do
            states[i] = record.status
        end
        assert.are.same({ "done", "done", "done", "pruned", "done", "pruned", "pruned" }, states)
        assert.are.same({ { 1, 0.2 }, { 2, 0.25 } }, s:records()[4].reports)
        assert.are.equal(3, s:best("val_accuracy").params.i)
        assert.is_truthy(tostring(s):find("0.2500 +ended early"))
    end)

    it("waits for the warm-up, and knows metrics that fall", function()
        local steps = steps_of({ "val_loss", startup = 1, warmup = 2 },
            { { 1, 1, 1, 1 }, { 2, 2, 2, 2 }, { 1, 1, 1, 1 } })
        assert.are.same({ 4, 3, 4 }, steps)
    end)

    it("takes not-a-number for hopeless", function()
        local nan = 0 / 0
        assert.are.same({ 2, 1, 2 }, (steps_of({ "val_loss", startup = 1 }, { { 1, 1 }, { nan, nan }, { 0.5, nan } })))
    end)

    it("only records where the sweep does not prune", function()
        local steps, s = steps_of(nil, { { 1, 2 }, { 0, 0 } })
        assert.are.same({ 2, 2 }, steps)
        assert.are.same({ { 1, 0 }, { 2, 0 } }, s:records()[2].reports)
    end)

    it("stops a fit through a callback, unless it is over anyway", function()
        local series = { { 0.1, 0.2, 0.3 }, { 0.05, 0.1, 0.15 }, { 0.1, 0.2, 0.2 } }
        local stopped = {}
        local s = sweep { name = "fit", grid = { i = { 1, 2, 3 } }, prune = { "val_acc", startup = 1 },
            trial = function(p, report)
                local one = report:callback()
                one.model, one.params = {}, { epochs = 3 }
                for epoch, value in ipairs(series[p.i]) do
                    one:on_epoch_end(epoch, { val_accuracy = value })
                    if one.model.stop_training then
                        stopped[p.i] = epoch
                        break
                    end
                end
                return 1
            end }
        assert.are.same({ [2] = 1, [3] = 3 }, stopped)
        assert.are.equal("pruned", s:records()[2].status)
        assert.are.equal("done", s:records()[3].status)
    end)

    it("refuses wrong reports", function()
        local s = sweep { grid = { i = { 1, 2, 3, 4 } }, trial = function(p, report)
            if p.i == 1 then
                report(0, 1)
            elseif p.i == 2 then
                report(1.5, 1)
            elseif p.i == 3 then
                report(1, "a")
            else
                report:callback()
            end
        end }
        for i, record in ipairs(s:records()) do
            assert.is_truthy(record.error:find(i < 4 and "report takes a step from 1 and a number" or
                "report:callback needs the name of a metric", 1, true), record.error)
        end
    end)
end)

-- ---- other processes ------------------------------------------------------------------------------------------------

describe("workers", function()
    -- What runs this spec also runs the scripts: lua5.4 with the module, or the program.
    local interpreter

    setup(function()
        local first = 0
        while arg[first - 1] do
            first = first - 1
        end
        interpreter = arg[first]
    end)

    local script = [[
        local moth = require "moth"
        local directory, workers, crash = arg[1], tonumber(arg[2]), arg[3]
        print("before the sweep")
        local function count(path)
            local file = io.open(path, "ab")
            file:write("x\n")
            file:close()
        end
        local first = moth.sweep { name = "first", dir = directory, grid = { a = { 1 } }, trial = function()
            count(directory .. "/runs-of-first")
            return 1
        end }
        local function check(a)
            assert(a ~= 5, "five is no good")
        end
        local s = moth.sweep { name = "s", dir = directory, workers = workers,
            prune = { "loss", startup = 6, wave = 3 },
            grid = { a = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 } }, trial = function(p, report)
                print("trial " .. p.a)
                count(directory .. "/runs-of-" .. p.a)
                if crash == "always" and p.a == 3 or crash == "once" and not io.open(directory .. "/crashed") then
                    count(directory .. "/crashed")
                    os.exit(9)
                end
                local loss = (p.a * 7 % 12) + moth.rand(1)[1] + math.random()
                for step = 1, 3 do
                    os.execute("sleep 0.02")
                    if report(step, loss / step) then
                        return { loss = loss / step }
                    end
                end
                check(p.a)
                return { loss = loss / 3 }
            end }
        s:table()
        print(s:best "loss")
    ]]

    local function command(workers, crash)
        support.write(directory .. "/it's a script.lua", script)
        return ('%s "%s/it\'s a script.lua" "%s" %d %s'):format(interpreter, directory, directory, workers,
            crash or "")
    end

    -- Standard output, standard error and status of a command.
    local function run(shell_command)
        local out, err = directory .. "/out", directory .. "/err"
        local _, how, code = os.execute(("(%s) >%s 2>%s </dev/null"):format(shell_command, out, err))
        -- Errors name the script by its path, which differs from test to test.
        local shown = text_of(out):gsub(directory:gsub("%p", "%%%0"), "DIR")
        return shown, text_of(err), how == "exit" and code or 128 + code
    end

    local function fresh()
        os.execute("rm -rf " .. directory .. "/*")
    end

    -- Runs the command in a group of its own and sends the signal when so many trials are finished.
    local function run_until(finished, started, signal, whom)
        return run(('setsid %s & until [ "$(cat %s/s/trials.jsonl 2>/dev/null | wc -l)" -ge %d ]; do sleep 0.01; done; '
            .. "kill -%s %s$!; wait $!"):format(started, directory, finished, signal, whom))
    end

    -- The table at the end: what the last trials print comes before it when only one process is left to start.
    local function table_in(out)
        return out:match "(a +loss.*)$"
    end

    local expected

    local function reference()
        if not expected then
            fresh()
            expected = run(command(1))
            assert.is_truthy(expected:find("five is no good"))
            assert.is_truthy(expected:find("ended early"))
            -- Its own output comes first in this process: the table is what follows.
            expected = table_in(expected)
            fresh()
        end
        return expected
    end

    it("give the same table as one process, and run each trial once", function()
        local table_of_one = reference()
        for workers = 2, 3 do
            fresh()
            local out, err = run(command(workers))
            assert.are.equal("before the sweep\n" .. table_of_one, out)
            assert.is_truthy(err:find("sweep s: 12 of 12 trials to run, " .. workers .. " workers", 1, true))
            for a = 1, 12 do
                assert.are.equal(1, lines_in(directory .. "/runs-of-" .. a))
            end
            assert.are.equal(1, lines_in(directory .. "/runs-of-first"))
            local logs = ""
            for worker = 1, workers do
                logs = logs .. text_of(directory .. "/s/worker-" .. worker .. ".log")
            end
            assert.is_truthy(logs:find("before the sweep\n", 1, true))
            assert.is_truthy(logs:find("trial 7\n", 1, true))
            assert.is_truthy(logs:find("called from", 1, true))
            assert.is_nil(logs:find("[C]", 1, true))
            -- Claims do not outlive their round.
            assert.is_nil((io.popen("ls " .. directory .. "/s"):read("a"):find("claims", 1, true)))
        end
        -- Everything is finished: nothing runs.
        local out, err = run(command(2))
        assert.are.equal("before the sweep\n" .. table_of_one, out)
        assert.are.equal("", err)
    end)

    it("can be killed at any moment: the sweep goes on and ends the same #slow", function()
        local table_of_one = reference()
        for i, finished in ipairs { 1, 3, 6 } do
            for _, whom in ipairs { "-", "" } do
                fresh()
                -- With - the whole group dies, without it only the process that started the workers.
                run_until(finished, command(1 + i % 3), "9", whom)
                assert.is_true(lines_in(directory .. "/s/trials.jsonl") < 12)
                assert.are.equal(table_of_one, table_in((run(command(2)))))
            end
        end
    end)

    it("may lose a process: its trial is tried again, and fails the second time", function()
        local table_of_one = reference()
        local out, err = run(command(2, "once"))
        assert.are.equal("before the sweep\n" .. table_of_one, out)
        assert.is_truthy(err:find("the process of a=%d+ ended; trying again"))
        fresh()
        out = run(command(2, "always"))
        assert.is_truthy(out:find("3 +failed: the process that ran it ended twice, with status 9"))
        assert.are.equal(12, lines_in(directory .. "/s/trials.jsonl"))
        assert.are.equal(2, lines_in(directory .. "/runs-of-3"))
    end)

    it("end with Ctrl-C, and the sweep goes on later", function()
        local table_of_one = reference()
        local _, err = run_until(1, command(2), "INT", "-")
        assert.is_truthy(err:find("sweep s: stopped after .* of 12 trials finished; run it again to go on"), err)
        assert.is_nil((text_of(directory .. "/s/trials.jsonl") or ""):find("interrupted"))
        assert.are.equal(table_of_one, table_in((run(command(2)))))
    end)

    it("end with the process that started them, also in the middle of a trial", function()
        support.write(directory .. "/long.lua", [[
            local moth = require "moth"
            moth.sweep { name = "s", dir = arg[1], workers = 2, grid = { a = { 1, 2 } }, trial = function(p)
                os.execute("echo $PPID > " .. arg[1] .. "/pid-" .. p.a)
                while true do end
            end }
        ]])
        run(([[setsid %s "%s/long.lua" "%s" &
            n=0
            until test -s "%s/pid-1" && test -s "%s/pid-2" || test $n -ge 600; do sleep 0.1; n=$((n+1)); done
            kill -9 $!]]):format(interpreter, directory, directory, directory, directory))
        for a = 1, 2 do
            local pid = tonumber(text_of(directory .. "/pid-" .. a))
            local gone = os.execute(("n=0; while kill -0 %d 2>/dev/null; do sleep 0.1; n=$((n+1)); "
                .. "test $n -lt 300 || { kill -9 %d; exit 1; }; done"):format(pid, pid))
            assert.is_true(gone)
        end
    end)

    it("that end before a trial are reported, and the others do the work", function()
        support.write(directory .. "/half.lua", [[
            local moth = require "moth"
            if os.getenv("MOTH_SWEEP") == "s:2" then error("no luck here") end
            moth.sweep { name = "s", dir = arg[1], workers = 2, grid = { a = { 1, 2 } }, trial = function(p)
                return p.a
            end }
        ]])
        local _, err, code = run(("%s %s/half.lua %s"):format(interpreter, directory, directory))
        assert.are.equal(0, code)
        assert.is_truthy(err:find("sweep s: worker 2 ended early with status 1; ", 1, true), err)
        assert.is_truthy(err:find("worker%-2%.log ends with: [^\n]*no luck here"), err)
        assert.are.equal(2, lines_in(directory .. "/s/trials.jsonl"))
    end)

    it("that cannot start are reported with what they said", function()
        support.write(directory .. "/bad.lua", [[
            local moth = require "moth"
            if os.getenv("MOTH_SWEEP") then error("no data here") end
            moth.sweep { name = "s", dir = arg[1], workers = 2, grid = { a = { 1, 2 } }, trial = print }
        ]])
        local _, err, code = run(("%s %s/bad.lua %s"):format(interpreter, directory, directory))
        assert.are.equal(1, code)
        assert.is_truthy(err:find("bad.lua:3: sweep s: the workers ended without running a trial; ", 1, true), err)
        assert.is_truthy(err:find("worker%-1%.log ends with: [^\n]*no data here"), err)
    end)

    it("are not started without a script: trials run in the process, which says so once", function()
        local code = ("moth = require 'moth' for i = 1, 2 do moth.sweep { name = 's' .. i, dir = '%s', workers = 2, "
            .. "grid = { a = { 1, 2 } }, trial = function(p) return p.a end }:table() end"):format(directory)
        for _, how in ipairs { ('%s -e "%s"'):format(interpreter, code),
            ('echo "%s" | %s -'):format(code, interpreter) } do
            local out, err = run(how)
            assert.are.equal("a  value\n1  1\n2  2\na  value\n1  1\n2  2\n", out)
            local _, told = err:gsub("there is no script to start workers on, so trials run in this process\n", "")
            assert.are.equal(1, told)
            fresh()
        end
    end)
end)
