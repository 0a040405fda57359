-- Callbacks that report: files, curves, the bar, the history.
require "moth"
local callback = require "moth.callback"
local callbacks = require "moth.callbacks"
local json = require "moth.json"
local progress = require "moth.progress"
local stand_in = require "tests.spec.stand_in"
local support = require "tests.spec.support"
local fit, stub_model, silent_screen = stand_in.fit, stand_in.model, stand_in.screen

local golden = dofile("tests/golden/callbacks.lua")

local directory

before_each(function() directory = support.directory() end)
after_each(function() support.remove(directory) end)

describe("CSVLogger", function()
    for i, case in ipairs(golden.csv) do
        it(("writes the lines that Keras writes, case %d"):format(i), function()
            local options = support.copy(case.options)
            options.filename = directory .. "/log.csv"
            fit({ callbacks.CSVLogger(options) }, case.logs)
            local expected = {}
            for k, row in ipairs(case.rows) do
                expected[k] = (k == 1 and "epoch" or k - 1) .. (options.separator or ",") .. row
            end
            assert.are.equal(table.concat(expected, "\n") .. "\n", support.read(options.filename))
        end)
    end

    it("appends below one header", function()
        local path = directory .. "/log.csv"
        fit({ callbacks.CSVLogger { path } }, { { loss = 2 } })
        fit({ callbacks.CSVLogger { path, append = true } }, { { loss = 1 } })
        assert.are.equal("epoch,loss,val_loss\n1,2,NA\n1,1,NA\n", support.read(path))
    end)

    it("writes a confusion matrix as JSON", function()
        local path = directory .. "/log.csv"
        fit({ callbacks.CSVLogger { path } }, { { confusion_matrix = { { 3, 0 }, { 1, 2 } }, val_loss = 1 } })
        assert.are.equal('epoch,confusion_matrix,val_loss\n1,"[[3,0],[1,2]]",1\n', support.read(path))
    end)

    it("raises where it cannot write", function()
        local done, message = pcall(fit, { callbacks.CSVLogger(directory) }, { { loss = 1 } })
        assert.is_false(done)
        assert.is_truthy(message:find("callbacks.CSVLogger: cannot open", 1, true))
        assert.has_error(function() callbacks.CSVLogger {} end)
    end)
end)

describe("History", function()
    it("keeps a list for each name and the epochs", function()
        local history, model = fit(nil, { { loss = 1, val_loss = 2 }, { loss = 0.5 }, { loss = 0.25, val_loss = 1 } })
        assert.are.same({ loss = { 1, 0.5, 0.25 }, val_loss = { 2, 1 } }, history.history)
        assert.are.same({ 1, 2, 3 }, history.epoch)
        assert.are.equal(history, model.history)
        assert.are.equal("History: 3 epochs - loss: 0.2500 - val_loss: 1.0000", tostring(history))
    end)

    it("can be given by the user", function()
        local own = callbacks.History {}
        assert.are.equal(own, (fit({ own }, { { loss = 1 } })))
        assert.are.same({ loss = { 1 } }, own.history)
    end)

    it("comes back from its state with what is not finite", function()
        local history = fit(nil, { { loss = 0 / 0, accuracy = 0.5 }, { loss = math.huge, accuracy = 1 } })
        local back = callbacks.History {}
        back:restore(json.decode(json.encode((history:state()))))
        assert.are.same({ 1, 2 }, back.epoch)
        assert.are.same({ 0.5, 1 }, back.history.accuracy)
        assert.is_true(back.history.loss[1] ~= back.history.loss[1])
        assert.are.equal(math.huge, back.history.loss[2])
    end)
end)

describe("ProgressBar", function()
    it("gives one line for each epoch", function()
        local screen = silent_screen()
        fit(nil, { { loss = 1, accuracy = 0.5, val_loss = 2 }, { loss = 0.5, accuracy = 0.75 } },
            { screen = screen, bar = true, steps = 3 })
        assert.are.equal(2, #screen.results)
        assert.is_truthy(screen.results[1]:find(
            "^Epoch 1/2 %- 3/3 %- 0%.0s %- %d+%a+/step %- loss: 1%.0000 %- accuracy: 0%.5000 %- val_loss: 2%.0000$"))
    end)

    it("asks for batches only where somebody sees them", function()
        local function wants(live, entries)
            local screen = silent_screen()
            screen.live = live
            return callback.list(entries, { model = stub_model(), history = callbacks.History {},
                params = { screen = screen, steps = 3 }, bar = callbacks.ProgressBar {} }):wants("on_batch_end")
        end
        assert.is_true(wants(true))
        assert.is_false(wants(false))
        assert.is_true(wants(false, { callbacks.TerminateOnNaN {} }))
        assert.is_false(wants(true, { callbacks.ProgressBar { verbose = 2 } }))
    end)

    it("is added only where the user gave none", function()
        local screen = silent_screen()
        fit({ callbacks.ProgressBar { verbose = 0 } }, { { loss = 1 } }, { screen = screen, bar = true })
        assert.are.equal(0, #screen.results)
        assert.has_error(function() callbacks.ProgressBar { verbose = 3 } end)
    end)
end)

describe("LivePlot", function()
    local epochs = { { loss = 4, val_loss = 3 }, { loss = 2, val_loss = 2 }, { loss = 1, val_loss = 1.5 } }

    it("shows the curves once at the end where nothing can be drawn over", function()
        local screen = silent_screen()
        fit({ callbacks.LivePlot { height = 6 } }, epochs, { screen = screen })
        assert.are.equal(1, #screen.messages)
        local lines = {}
        for line in screen.messages[1]:gmatch("[^\n]+") do
            lines[#lines + 1] = line
        end
        assert.is_truthy(lines[1]:find("loss   a training   b validation", 1, true))
        assert.are.equal(1 + 6 + 3, #lines)
    end)

    it("keeps the curves below the lines of the epochs on a live screen", function()
        local written = {}
        local stream = { flush = function() end }
        function stream:write(...)
            written[#written + 1] = table.concat { ... }
            return self
        end
        local screen = progress.screen { live = true, color = false, out_color = false, utf8 = true, err = stream,
            out = stream, width = function() return 60 end, out_width = function() end, clock = os.clock }
        fit({ callbacks.LivePlot { "loss", height = 6 } }, epochs, { screen = screen, bar = true })
        local text = table.concat(written)
        -- Drawn after epochs 2 and 3; taken off the screen before the lines of epochs 2 and 3 and before the new plot.
        local _, drawn = text:gsub("validation", "")
        local _, lifted = text:gsub("\27%[10A\27%[J", "")
        assert.are.equal(4, drawn)
        assert.are.equal(3, lifted)
        assert.is_truthy(text:find("epoch\n$"))
        assert.is_nil(screen.block)
    end)

    it("refuses what it does not know", function()
        assert.has_error(function() callbacks.LivePlot { height = 1 } end)
        assert.has_error(function() callbacks.LivePlot { 5 } end)
        assert.has_error(function()
            fit({ callbacks.LivePlot { "acuracy" } }, epochs, { screen = silent_screen() })
        end)
    end)
end)

describe("TensorBoard", function()
    -- Bit by bit, unlike the table of the writer; checked against a published value below.
    local function crc32c(data)
        local crc = 0xFFFFFFFF
        for i = 1, #data do
            crc = crc ~ data:byte(i)
            for _ = 1, 8 do
                crc = crc >> 1 ~ (-(crc & 1) & 0x82F63B78)
            end
        end
        return ~crc & 0xFFFFFFFF
    end

    local function masked(data)
        local crc = crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    end

    local function fields(data)
        local list, at = {}, 1
        local function varint()
            local value, shift = 0, 0
            while true do
                local byte = data:byte(at)
                at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
                if byte < 0x80 then
                    return value
                end
            end
        end
        while at <= #data do
            local key = varint()
            local wire = key & 7
            local value
            if wire == 0 then
                value = varint()
            elseif wire == 2 then
                local size = varint()
                value, at = data:sub(at, at + size - 1), at + size
            else
                value, at = (wire == 1 and "<d" or "<f"):unpack(data, at)
            end
            list[#list + 1] = { key >> 3, value }
        end
        return list
    end

    local function read_events(part)
        local pipe = io.popen("ls " .. directory .. "/logs/" .. part .. "/events.out.tfevents.*")
        local path = pipe:read("l")
        assert.is_nil(pipe:read("l"))
        pipe:close()
        local text, at, scalars = support.read(path), 1, {}
        while at <= #text do
            local size, size_crc = ("<I8I4"):unpack(text, at)
            assert.are.equal(masked(text:sub(at, at + 7)), size_crc)
            local data = text:sub(at + 12, at + 11 + size)
            assert.are.equal(masked(data), (("<I4"):unpack(text, at + 12 + size)))
            at = at + 16 + size
            local event = {}
            for _, field in ipairs(fields(data)) do
                event[field[1]] = field[2]
            end
            assert.is_true(math.abs(event[1] - os.time()) < 100)
            if at == 1 + 16 + size then
                assert.are.equal("brain.Event:2", event[3])
            else
                for _, value in ipairs(fields(event[5])) do
                    local scalar = fields(value[2])
                    table.insert(scalars, { event[2], scalar[1][2], scalar[2][2] })
                end
            end
        end
        return scalars
    end

    it("checks with a known CRC-32C", function()
        assert.are.equal(0xE3069283, crc32c("123456789"))
    end)

    it("writes losses, metrics and the rate of each epoch", function()
        fit({ callbacks.TensorBoard { directory .. "/logs" } },
            { { loss = 0.5, accuracy = 0.25, val_loss = 2 }, { loss = 0.125, accuracy = 1, val_loss = 300 } },
            { steps = 2 })
        local rate = ("<f"):unpack(("<f"):pack(0.1))
        assert.are.same({ { 1, "epoch_accuracy", 0.25 }, { 1, "epoch_learning_rate", rate }, { 1, "epoch_loss", 0.5 },
            { 2, "epoch_accuracy", 1 }, { 2, "epoch_learning_rate", rate }, { 2, "epoch_loss", 0.125 } },
            read_events "train")
        assert.are.same({ { 1, "epoch_loss", 2 }, { 2, "epoch_loss", 300 } }, read_events "validation")
    end)

    it("writes every n-th batch when asked to", function()
        local model = stub_model()
        model.optimizer = nil
        fit({ callbacks.TensorBoard { directory .. "/logs", update_freq = 150 } }, { {}, {} },
            { steps = 200, model = model })
        assert.are.same({ { 150, "batch_loss", 1 }, { 300, "batch_loss", 1 } }, read_events "train")
    end)

    it("refuses what it does not know and where it cannot write", function()
        assert.has_error(function() callbacks.TensorBoard { update_freq = "hour" } end)
        assert.has_error(function() callbacks.TensorBoard { histogram = 1 } end)
        local file = assert(io.open(directory .. "/file", "wb"))
        file:close()
        assert.has_error(function() fit({ callbacks.TensorBoard { directory .. "/file" } }, { { loss = 1 } }) end)
    end)
end)
