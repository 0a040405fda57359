-- Sweeps that run in one process: what is run, recorded, resumed, shown and stopped.
local moth = require "moth"
local json = require "moth.json"
local space = require "moth.sweep_space"
local support = require "tests.spec.support"

local directory

before_each(function() directory = support.directory() end)
after_each(function() support.remove(directory) end)

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

describe("a sweep", function()
    it("runs each trial once with its parameters, and keeps results", function()
        local seen = {}
        local s = sweep { grid = { a = { 1, 2 }, b = { "x" } }, trial = function(p)
            seen[#seen + 1] = json.encode(p)
            p.a = 100
            return { loss = 1 / #seen, note = "n", good = true, tensor = moth.tensor { 0.5 } }
        end }
        assert.are.same({ '{"a":1,"b":"x"}', '{"a":2,"b":"x"}' }, seen)
        assert.are.equal(2, support.lines(directory .. "/s/trials.jsonl"))
        local records = s:records()
        assert.are.equal(2, #records)
        assert.are.same({ a = 1, b = "x" }, records[1].params)
        assert.are.same({ loss = 1.0, note = "n", good = true, tensor = 0.5 }, records[1].result)
        assert.are.equal("done", records[1].status)
        local line = json.decode(support.read(directory .. "/s/trials.jsonl"):match("^[^\n]+"))
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
        assert.are.equal(1, support.lines(directory .. "/s/trials.jsonl"))
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
        local whole = support.read(path)
        for cut = 1, #whole, 7 do
            support.write(path, whole:sub(1, cut) .. (cut % 2 == 0 and "\0\255{]\n[]\n" or ""))
            local s = run()
            local losses = {}
            for i, record in ipairs(s:records()) do
                losses[i] = record.result.loss
            end
            assert.are.same({ 1, 2, 3 }, losses)
            assert.are.equal(3, support.lines(path))
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
        assert.are.equal(3, support.lines(directory .. "/s/trials.jsonl"))
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
        assert.are.equal(1, support.lines(directory .. "/s/trials.jsonl"))
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
        assert.is_nil(io.open(directory .. "/s/trials.jsonl"))
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

    it("show parameters that are false", function()
        assert.are.equal("bias   loss\ntrue   1\nfalse  2",
            tostring(sweep { grid = { bias = { true, false } }, trial = function(p)
                return { loss = p.bias and 1 or 2 }
            end }))
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
        local text = support.read(file)
        for _, label in ipairs { ">lr<", ">val loss (median and range)<", ">0.001<", ">0.1<" } do
            assert.is_truthy(text:find(label, 1, true), label)
        end
        -- The range over the other parameter is a band.
        assert.is_truthy(text:find("fill-opacity", 1, true))
        s:plot("act", "val_loss", file)
        assert.is_truthy(support.read(file):find(">tanh<", 1, true))
        s:plot({ "lr", "act" }, "val_loss", file)
        text = support.read(file)
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
