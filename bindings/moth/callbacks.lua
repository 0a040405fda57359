--- moth.callbacks: what fit can do besides training.
-- callback.lua says what a callback is; callback_monitor.lua has those that watch a metric, callback_backup.lua the one
-- that survives a crash, tensorboard.lua the event files, live_plot.lua the curves in the terminal.

local callback = require "moth.callback"
local files = require "moth.files"
local json = require "moth.json"
local options = require "moth.options"
local progress = require "moth.progress"

local callbacks = {}

for _, part in ipairs { "callback_monitor", "callback_backup", "tensorboard", "live_plot" } do
    for name, constructor in pairs(require("moth." .. part)) do
        callbacks[name] = constructor
    end
end

-- ---- History --------------------------------------------------------------------------------------------------------

--- What fit returns: the numbers of every epoch.
---@class moth.History
---@field epoch integer[] the epochs that were run, from 1
---@field history table<string, number[]> loss and metrics by name, a value an epoch
---@field params table of the fit: epochs, steps, metrics
---@field model moth.Model
local History = { saved = { "epoch", "history" } }

function History:init()
    self.epoch, self.history = {}, {}
end

function History:on_train_begin()
    self.epoch = {}
end

function History:on_epoch_end(epoch, logs)
    table.insert(self.epoch, epoch)
    for _, name in ipairs(self:names(logs)) do
        local list = self.history[name] or {}
        self.history[name] = list
        list[#list + 1] = logs[name]
    end
    self.model.history = self
end

-- Names in the order of progress lines; values that are no numbers (a confusion matrix) after them.
function History:names(logs)
    local names, others = {}, {}
    for i, pair in ipairs(progress.pairs(logs, self.params and self.params.metrics)) do
        names[i] = pair[1]
    end
    for name, value in pairs(logs) do
        if not math.type(value) then
            others[#others + 1] = name
        end
    end
    table.sort(others)
    return table.move(others, 1, #others, #names + 1, names)
end

-- JSON has no numbers that are not finite; they were written as strings.
function History:restore(state)
    self.epoch, self.history = {}, {}
    for i, epoch in ipairs(state.epoch) do
        self.epoch[i] = epoch
    end
    for name, list in pairs(state.history) do
        self.history[name] = {}
        for i, value in ipairs(list) do
            self.history[name][i] = json.number(value)
        end
    end
end

function History:state()
    local numbers = {}
    for name, list in pairs(self.history) do
        if math.type(list[1]) then
            numbers[name] = list
        end
    end
    return { epoch = json.list({ table.unpack(self.epoch) }), history = numbers }
end

--- Draws loss and metrics over the epochs, training beside validation: into a file, or in the terminal without one.
---@param file? string
---@param settings? table  options of moth.plot
function History:plot(file, settings)
    return require("moth.plot").history(self, file, settings)
end

--- The numbers of every epoch: `history.history.val_loss[3]`, `history.epoch`. fit returns one.
callbacks.History = callback.class({ name = "History" }, History)

function History:__tostring()
    local last = {}
    for name, list in pairs(self.history) do
        last[name] = list[#list]
    end
    local parts = { ("History: %d epoch%s"):format(#self.epoch, #self.epoch == 1 and "" or "s") }
    for _, pair in ipairs(progress.pairs(last, self.params and self.params.metrics)) do
        parts[#parts + 1] = ("%s: %s"):format(pair[1], progress.number(pair[2]))
    end
    return table.concat(parts, " - ")
end

-- ---- ProgressBar ----------------------------------------------------------------------------------------------------

local ProgressBar = {}

function ProgressBar:init()
    -- Sorted only when a line is drawn, not at each batch.
    self.shown = function()
        return progress.pairs(self.logs, self.params.metrics)
    end
end

local function label(epoch, epochs)
    return ("Epoch %" .. #tostring(epochs) .. "d/%d"):format(epoch, epochs)
end

function ProgressBar:on_epoch_begin(epoch)
    local params = self.params
    self.bar = progress.start {
        label = label(epoch, params.epochs),
        total = params.steps or self.seen,
        samples = params.samples,
        verbose = self.verbose or params.verbose,
        screen = params.screen,
    }
    self.logs, self.in_epoch = {}, true
end

-- Without a live line nobody sees the batches, so fit need not stop after each of them.
function ProgressBar:prepare(others_count_batches)
    local live = (self.params.screen or progress.default()).live and (self.verbose or self.params.verbose or 1) == 1
    self.on_batch_end = (live or others_count_batches or not self.params.steps) and ProgressBar.count_batch or false
end

function ProgressBar:count_batch(batch, logs)
    self.seen, self.logs = batch, logs or self.logs
    self.bar:update(batch, self.shown)
end

-- Training of this epoch is over: what follows does not count for the rate.
function ProgressBar:end_of_batches()
    if not self.on_batch_end and self.in_epoch then
        self.bar:update(self.params.steps)
    end
end

function ProgressBar:on_test_begin()
    self:end_of_batches()
end

function ProgressBar:on_test_batch_end(batch)
    if self.in_epoch then
        local steps = self.params.validation_steps
        self.bar:status("validating " .. batch .. (steps and "/" .. steps or ""), self.shown)
    end
end

function ProgressBar:on_epoch_end(_, logs)
    if self.bar.done == 0 then
        self:end_of_batches()
    end
    self.in_epoch = false
    self.bar:finish(progress.pairs(logs, self.params.metrics))
end

function ProgressBar:on_train_end()
    -- Training that ended within an epoch (Ctrl-C) leaves the line as it stood.
    if self.in_epoch then
        self.in_epoch = false
        self.bar:abort()
    end
end

--- The progress lines of fit, which adds one itself unless verbose is 0.
callbacks.ProgressBar = callback.class({
    name = "ProgressBar",
    { "verbose", { 0, 1, 2 } },
}, ProgressBar)

-- ---- small ones -----------------------------------------------------------------------------------------------------

local LearningRateScheduler = {}

function LearningRateScheduler:on_epoch_begin(epoch)
    local rate = self.schedule(epoch, self:learning_rate())
    if not math.type(rate) or rate ~= rate or rate < 0 then
        options.fail(("callbacks.LearningRateScheduler: schedule must return a number of at least 0; got %s"):format(
            options.show(rate)))
    end
    self.model.optimizer.learning_rate = rate
    if self.verbose > 0 then
        self:say(("Epoch %d: LearningRateScheduler setting learning rate to %.6g."):format(epoch, rate))
    end
end

function LearningRateScheduler:on_epoch_end(_, logs)
    logs.learning_rate = self:learning_rate()
end

--- Sets the learning rate to `schedule(epoch, rate)` when an epoch begins.
callbacks.LearningRateScheduler = callback.class({
    name = "LearningRateScheduler",
    { "schedule", "function", required = true },
    { "verbose", "integer", default = 0, min = 0 },
}, LearningRateScheduler)

-- Fit leaves what is no number to this callback, but where its option nan says otherwise.
local TerminateOnNaN = { takes_nonfinite = true }

function TerminateOnNaN:on_batch_end(batch, logs)
    local loss = logs and logs.loss
    if not loss or loss == loss and math.abs(loss) ~= math.huge then
        return
    elseif self.raise_error then
        options.fail(("callbacks.TerminateOnNaN: the loss of batch %d is %s"):format(batch, progress.number(loss)))
    end
    self:say(("Batch %d: invalid loss, terminating training"):format(batch))
    self.model.stop_training = true
end

--- Stops training at the first batch whose loss is not a finite number.
callbacks.TerminateOnNaN = callback.class({
    name = "TerminateOnNaN",
    { "raise_error", "boolean", default = false },
}, TerminateOnNaN)

local LambdaCallback = {}

local lambda_spec = { name = "LambdaCallback" }
for _, hook in ipairs(callback.hooks) do
    table.insert(lambda_spec, { hook, "function" })
end
for alias, hook in pairs(callback.hook_aliases) do
    table.insert(lambda_spec, { alias, "function", hook = hook })
end
-- Aliases come from a table without order.
table.sort(lambda_spec, function(a, b)
    return a[1] < b[1]
end)
lambda_spec.positionals = 0

function LambdaCallback:init()
    for _, option in ipairs(lambda_spec) do
        local call = rawget(self, option[1])
        if call then
            self[option[1]] = nil
            -- The user's functions take Keras's arguments: no self.
            self[option.hook or option[1]] = function(_, ...)
                return call(...)
            end
        end
    end
end

--- A callback from plain functions: `LambdaCallback { on_epoch_end = function(epoch, logs) … end }`.
callbacks.LambdaCallback = callback.class(lambda_spec, LambdaCallback)

-- ---- CSVLogger ------------------------------------------------------------------------------------------------------

local CSVLogger = {}

-- A confusion matrix is written as JSON.
local function csv_field(value, separator)
    local text = math.type(value) and json.format_number(value)
        or type(value) == "table" and json.encode(value) or tostring(value)
    if text:find('["\r\n]') or text:find(separator, 1, true) then
        return '"' .. text:gsub('"', '""') .. '"'
    end
    return text
end

function CSVLogger:write_row(fields)
    for i, field in ipairs(fields) do
        fields[i] = csv_field(field, self.separator)
    end
    local done, problem = self.file:write(table.concat(fields, self.separator), "\n")
    if done then
        done, problem = self.file:flush()
    end
    if not done then
        options.fail(("callbacks.CSVLogger: cannot write %s: %s"):format(self.filename, problem))
    end
end

function CSVLogger:on_train_begin()
    local append = self.append and files.exists(self.filename)
    self.with_header = not (append and files.read(self.filename) ~= "")
    self.keys = nil
    files.make_parent(self.filename)
    local problem
    self.file, problem = io.open(self.filename, append and "ab" or "wb")
    if not self.file then
        options.fail(("callbacks.CSVLogger: cannot open %s"):format(problem))
    end
end

-- The first epoch decides about the columns. Where it has no validation, later ones may (validation_freq).
local function choose_columns(logs)
    local keys, validated = {}, false
    for name in pairs(logs) do
        keys[#keys + 1] = name
        validated = validated or name:find("^val_") ~= nil
    end
    table.sort(keys)
    if not validated then
        for i = 1, #keys do
            keys[#keys + 1] = "val_" .. keys[i]
        end
    end
    return keys
end

function CSVLogger:on_epoch_end(epoch, logs)
    if not self.keys then
        self.keys = choose_columns(logs)
        if self.with_header then
            self:write_row { "epoch", table.unpack(self.keys) }
        end
    end
    local row = { epoch }
    for i, key in ipairs(self.keys) do
        row[i + 1] = logs[key] == nil and "NA" or logs[key]
    end
    self:write_row(row)
end

function CSVLogger:on_train_end()
    if self.file then
        self.file:close()
        self.file = nil
    end
end

--- Writes one line of comma-separated values per epoch.
callbacks.CSVLogger = callback.class({
    name = "CSVLogger",
    { "filename", "string", required = true },
    { "separator", "string", default = "," },
    { "append", "boolean", default = false },
}, CSVLogger)

return callbacks
