require "moth"
local progress = require "moth.progress"

-- A stream that keeps what is written.
local function stream()
    local kept = { text = "", flush = function() end }
    function kept:write(...)
        self.text = self.text .. table.concat({ ... })
        return self
    end
    return kept
end

-- A screen whose clock and width the test sets.
local function fake(settings)
    local world = { now = 100, columns = 80, err = stream(), out = stream() }
    local defaults = {
        err = world.err, out = world.out, live = true, color = false, out_color = false, utf8 = true,
        width = function() return world.columns end,
        out_width = function() return world.columns end,
        clock = function() return world.now end,
    }
    for key, value in pairs(settings or {}) do
        defaults[key] = value
    end
    world.screen = progress.screen(defaults)
    return world
end

-- The lines that were drawn over each other.
local function drawn(world)
    local lines = {}
    for line in world.err.text:gmatch("\r([^\r\27]*)\27%[K") do
        lines[#lines + 1] = line
    end
    return lines
end

local function run(world, settings, steps, seconds, metrics)
    settings.screen = world.screen
    local bar = progress.start(settings)
    for step = 1, steps do
        world.now = world.now + seconds
        bar:update(step, metrics)
    end
    return bar
end

local metrics = { { "loss", 0.31 }, { "accuracy", 0.91 } }

describe("numbers of progress lines", function()
    it("shows metrics as Keras does", function()
        for value, text in pairs { [0.12344] = "0.1234", [12.0] = "12.0000", [0.001] = "1.0000e-03",
            [0.00101] = "0.0010", [-0.5] = "-0.5000", [-1e-4] = "-1.0000e-04", [0] = "0.0000e+00",
            [math.huge] = "inf", [-math.huge] = "-inf" } do
            assert.are.equal(text, progress.number(value))
        end
        assert.are.equal("nan", progress.number(0 / 0))
    end)

    it("shows rates as Keras does", function()
        assert.are.equal("29us/sample", progress.rate(29e-6, "sample"))
        assert.are.equal("3ms/step", progress.rate(0.0029, "step"))
        assert.are.equal("2s/step", progress.rate(1.6, "step"))
        assert.are.equal("0s/step", progress.rate(0, "step"))
    end)

    it("shows remaining time as Keras does", function()
        assert.are.equal("59s", progress.remaining(59.9))
        assert.are.equal("60s", progress.remaining(60))
        assert.are.equal("1:01", progress.remaining(61))
        assert.are.equal("1:00:01", progress.remaining(3601))
    end)

    it("shows elapsed time with a digit while it is short", function()
        assert.are.equal("0.4s", progress.elapsed(0.42))
        assert.are.equal("10s", progress.elapsed(9.96))
        assert.are.equal("59s", progress.elapsed(59.4))
        assert.are.equal("1:35", progress.elapsed(95.2))
    end)
end)

describe("a live line", function()
    it("shows label, count, bar, time left, rate and metrics", function()
        local world = fake()
        world.columns = 200
        run(world, { label = "Epoch 3/20", total = 400, samples = 512000 }, 110, 0.2, metrics)
        local lines = drawn(world)
        assert.are.equal("Epoch 3/20 110/400 ━━━━━╸────────────── ETA: 58s 156us/sample - loss: 0.3100 "
            .. "- accuracy: 0.9100", lines[#lines])
    end)

    it("is drawn at most ten times a second, and in full at the end", function()
        local world = fake()
        local bar = run(world, { total = 1000 }, 1000, 0.001, metrics)
        local lines = #drawn(world)
        assert.is_true(lines >= 9 and lines <= 11, "drawn " .. lines .. " times in a second")
        bar:finish(metrics)
        assert.are.equal("1000/1000 ━━━━━━━━━━━━━━━━━━━━ 1.0s 1ms/step - loss: 0.3100 - accuracy: 0.9100\n",
            world.out.text)
    end)

    it("leaves the first step out of the rate", function()
        local world = fake()
        local bar = progress.start { total = 11, screen = world.screen }
        world.now = world.now + 5
        bar:update(1)
        for step = 2, 11 do
            world.now = world.now + 0.01
            bar:update(step)
        end
        bar:finish()
        assert.are.equal("11/11 ━━━━━━━━━━━━━━━━━━━━ 5.1s 10ms/step\n", world.out.text)
    end)

    it("has a rate when all steps are reported at once", function()
        local world = fake()
        local bar = progress.start { total = 100, samples = 1000, screen = world.screen }
        world.now = world.now + 2
        bar:update(100)
        bar:finish()
        assert.are.equal("100/100 ━━━━━━━━━━━━━━━━━━━━ 2.0s 2ms/sample\n", world.out.text)
    end)

    it("never wraps: bar, rate, label and metrics give way in turn", function()
        for columns = 10, 130 do
            local world = fake()
            world.columns = columns
            run(world, { label = "Epoch 3/20", total = 400, samples = 51200 }, 100, 0.02, metrics)
            for _, line in ipairs(drawn(world)) do
                assert.is_true(utf8.len(line) < columns, columns .. " columns: " .. line)
                assert.is_truthy(line:find("%d/400"))
            end
        end
        local world = fake()
        world.columns = 70
        run(world, { label = "Epoch 3/20", total = 400, samples = 51200 }, 100, 0.2, metrics)
        local lines = drawn(world)
        assert.are.equal("Epoch 3/20 100/400 ETA: 60s - loss: 0.3100 - accuracy: 0.9100", lines[#lines])
    end)

    it("follows the width when the window changes", function()
        local world = fake()
        world.columns = 120
        local bar = progress.start { total = 4, screen = world.screen }
        bar:update(1, metrics)
        world.now, world.columns = world.now + 1, 50
        bar:update(2, metrics)
        local lines = drawn(world)
        assert.is_true(utf8.len(lines[1]) > 60 and utf8.len(lines[2]) < 50)
    end)

    it("is ASCII where the locale is", function()
        local world = fake { utf8 = false }
        world.columns = 200
        run(world, { total = 4 }, 2, 1, metrics)
        local lines = drawn(world)
        assert.are.equal("2/4 [========>.........] ETA: 2s 1s/step - loss: 0.3100 - accuracy: 0.9100", lines[#lines])
        assert.is_nil(world.err.text:find("[\128-\255]"))
    end)

    it("has colours only where they are wanted", function()
        local world = fake()
        run(world, { total = 4 }, 2, 1, metrics)
        assert.is_nil(world.err.text:find("\27%[%d*m"))
        world = fake { color = true }
        world.columns = 100
        run(world, { total = 4 }, 2, 1, metrics)
        assert.is_truthy(world.err.text:find("\27[1m2/4\27[0m \27[32m━━━━━━━━━━\27[0m\27[90m━━━━━━━━━━\27[0m", 1, true))
    end)

    it("shows what happens besides steps", function()
        local world = fake()
        local bar = run(world, { total = 4 }, 4, 1, metrics)
        world.now = world.now + 1
        bar:status("validating 3/9", metrics)
        local lines = drawn(world)
        assert.are.equal("4/4 ━━━━━━━━━━━━━━━━━━━━ validating 3/9 - loss: 0.3100 - accuracy: 0.9100",
            (lines[#lines]:gsub("  ", " ")))
    end)

    it("counts without a total", function()
        local world = fake()
        local bar = run(world, { total = nil }, 3, 1, metrics)
        local lines = drawn(world)
        assert.are.equal("3/? 3.0s 1s/step - loss: 0.3100 - accuracy: 0.9100", lines[#lines])
        bar:finish(metrics)
        assert.are.equal("3/3 ━━━━━━━━━━━━━━━━━━━━ 3.0s 1s/step - loss: 0.3100 - accuracy: 0.9100\n", world.out.text)
    end)

    it("is cleared before a message and before the result", function()
        local world = fake()
        local bar = run(world, { total = 4 }, 2, 1, metrics)
        world.screen:message("hello")
        assert.are.equal("\r\27[Khello\n", world.err.text:sub(-10))
        world.now = world.now + 1
        bar:update(3, metrics)
        bar:finish(metrics)
        assert.are.equal("\r\27[K", world.err.text:sub(-4))
    end)

    it("stays on the screen when it is broken off", function()
        local world = fake()
        local bar = run(world, { total = 4 }, 2, 1, metrics)
        bar:abort()
        assert.are.equal("\27[K\n", world.err.text:sub(-4))
        assert.are.equal("", world.out.text)
    end)
end)

describe("a full line", function()
    local all = { { "loss", 0.31 }, { "accuracy", 0.91 }, { "val_loss", 0.25 }, { "val_accuracy", 0.93 } }

    it("is all there is without a terminal", function()
        local world = fake { live = false, out_width = function() end }
        local bar = run(world, { label = "Epoch 1/20", total = 375, samples = 48000 }, 375, 0.004, all)
        bar:finish(all)
        assert.are.equal("", world.err.text)
        assert.are.equal("Epoch 1/20 - 375/375 - 1.5s - 31us/sample - loss: 0.3100 - accuracy: 0.9100 - "
            .. "val_loss: 0.2500 - val_accuracy: 0.9300\n", world.out.text)
    end)

    it("is the same with verbose 2, and nothing is drawn", function()
        local world = fake()
        local bar = run(world, { label = "Epoch 1/20", total = 375, verbose = 2 }, 375, 0.004, all)
        bar:finish(all)
        assert.are.equal("", world.err.text)
        assert.is_truthy(world.out.text:find("^Epoch 1/20 %- 375/375 %- 1%.5s %- 4ms/step %- loss: 0%.3100 %- "))
    end)

    it("is nothing with verbose 0", function()
        local world = fake()
        local bar = run(world, { total = 4, verbose = 0 }, 4, 1, all)
        bar:finish(all)
        assert.are.equal("", world.err.text .. world.out.text)
    end)

    it("loses nothing on a narrow terminal", function()
        for columns = 20, 140 do
            local world = fake()
            world.columns = columns
            local bar = run(world, { label = "Epoch 1/20", total = 375, samples = 48000 }, 375, 0.004, all)
            bar:finish(all)
            for _, metric in ipairs(all) do
                assert.is_truthy(world.out.text:find(metric[1] .. ": " .. progress.number(metric[2]), 1, true))
            end
            assert.is_truthy(world.out.text:find("Epoch 1/20 375/375", 1, true))
            if columns >= 40 then
                for line in world.out.text:gmatch("[^\n]+") do
                    assert.is_true(utf8.len(line) < columns, columns .. " columns: " .. line)
                end
            end
        end
    end)

    it("shows where training stopped", function()
        local world = fake()
        local bar = run(world, { total = 375 }, 120, 0.01, metrics)
        bar:finish(metrics)
        assert.is_truthy(world.out.text:find("^120/375 "))
    end)
end)

describe("nested progress", function()
    after_each(progress.unnest)

    it("shows the outer label and leaves no results", function()
        local world = fake()
        world.columns = 120
        progress.nest("trial 3/9")
        local bar = run(world, { label = "Epoch 1/2", total = 4 }, 4, 1, metrics)
        local lines = drawn(world)
        assert.is_truthy(lines[1]:find("^trial 3/9 Epoch 1/2 1/4 "))
        bar:finish(metrics)
        assert.are.equal("", world.out.text)
    end)
end)

describe("the order of metrics", function()
    local function names(logs, order)
        local list = {}
        for i, pair in ipairs(progress.pairs(logs, order)) do
            list[i] = pair[1]
        end
        return table.concat(list, " ")
    end

    it("is loss, metrics as compiled, the rest, validation, learning rate", function()
        local logs = { val_loss = 1, loss = 1, recall = 1, accuracy = 1, b_loss = 1, a_loss = 1, val_accuracy = 1,
            learning_rate = 1, val_recall = 1, confusion_matrix = {} }
        assert.are.equal("loss recall accuracy a_loss b_loss val_loss val_recall val_accuracy learning_rate",
            names(logs, { "recall", "accuracy" }))
        assert.are.equal("loss a_loss accuracy b_loss recall val_loss val_accuracy val_recall learning_rate",
            names(logs))
    end)
end)
