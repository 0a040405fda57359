--- Callbacks that watch one metric: EarlyStopping, ReduceLROnPlateau, ModelCheckpoint, with Keras 3's rules.

local callback = require "moth.callback"
local files = require "moth.files"
local json = require "moth.json"
local metric_names = require "moth.metric_names"
local options = require "moth.options"
local progress = require "moth.progress"

local monitor = {}

-- ---- watching a metric ----------------------------------------------------------------------------------------------

local function set_up(self)
    self.monitor = options.full_name(self.monitor)
    self.min_delta = math.abs(self.min_delta or 0)
    self.mode = metric_names.direction(self.monitor, self.mode, self.__name)
end

-- Strictly better than the reference by more than min_delta. Not-a-number is never better; anything beats nothing.
local function improves(self, current, reference)
    if reference == nil then
        return true
    elseif self.mode == "min" then
        return current + self.min_delta < reference
    end
    return current - self.min_delta > reference
end

-- The monitored value. It may be missing in some epochs (validation_freq); the user is told once.
local function monitored(self, logs)
    local value = logs and logs[self.monitor]
    if not math.type(value) then
        if not self.told_missing then
            self.told_missing = true
            local names = {}
            for i, pair in ipairs(progress.pairs(logs or {})) do
                names[i] = pair[1]
            end
            self:say(("%s: %s"):format(self.__name, options.unknown("no metric named", self.monitor, names)))
        end
        return nil
    end
    return value
end

-- ---- EarlyStopping --------------------------------------------------------------------------------------------------

local EarlyStopping = {
    saved = { "wait", "stopped_epoch", "best", "best_epoch" },
    saved_weights = "best_weights",
}
EarlyStopping.init = set_up

function EarlyStopping:on_train_begin()
    self.wait, self.stopped_epoch, self.best_epoch = 0, 0, 0
    self.best, self.best_weights = nil, nil
end

function EarlyStopping:keep_weights(epoch)
    self.best_epoch = epoch
    if self.restore_best_weights then
        self.best_weights = self.model:get_weights()
    end
end

function EarlyStopping:on_epoch_end(epoch, logs)
    local current = monitored(self, logs)
    if not current or epoch <= self.start_from_epoch then
        return
    end
    if self.restore_best_weights and not self.best_weights then
        self:keep_weights(epoch)
    end
    self.wait = self.wait + 1
    if improves(self, current, self.best) then
        self.best = current
        self:keep_weights(epoch)
        if self.baseline == nil or improves(self, current, self.baseline) then
            self.wait = 0
        end
    elseif self.wait >= self.patience and epoch > 1 then
        self.stopped_epoch = epoch
        self.model.stop_training = true
    end
end

function EarlyStopping:on_train_end()
    if self.stopped_epoch > 0 and self.verbose > 0 then
        self:say(("Epoch %d: early stopping"):format(self.stopped_epoch))
    end
    if self.best_weights then
        if self.verbose > 0 then
            self:say(("Restoring model weights from the end of the best epoch: %d."):format(self.best_epoch))
        end
        self.model:set_weights(self.best_weights)
    end
end

--- Stops training when the monitored metric no longer improves: once `patience` epochs in a row brought nothing better
-- by more than `min_delta`. With restore_best_weights the weights of the best epoch come back when training ends.
monitor.EarlyStopping = callback.class({
    name = "EarlyStopping",
    { "monitor", "string", default = "val_loss" },
    { "min_delta", "number", default = 0 },
    { "patience", "integer", default = 0, min = 0 },
    { "verbose", "integer", default = 0, min = 0 },
    { "mode", { "auto", "min", "max" }, default = "auto" },
    { "baseline", "number" },
    { "restore_best_weights", "boolean", default = false },
    { "start_from_epoch", "integer", default = 0, min = 0 },
}, EarlyStopping)

-- ---- ReduceLROnPlateau ----------------------------------------------------------------------------------------------

local ReduceLROnPlateau = { saved = { "wait", "best", "cooldown_counter" } }
ReduceLROnPlateau.init = set_up

function ReduceLROnPlateau:on_train_begin()
    self.wait, self.best, self.cooldown_counter = 0, nil, 0
end

function ReduceLROnPlateau:reduce(epoch)
    local old = self:learning_rate()
    if old <= self.min_lr then
        return
    end
    local new = math.max(old * self.factor, self.min_lr)
    self.model.optimizer.learning_rate = new
    if self.verbose > 0 then
        self:say(("Epoch %d: ReduceLROnPlateau reducing learning rate to %.6g."):format(epoch, new))
    end
    self.cooldown_counter, self.wait = self.cooldown, 0
end

function ReduceLROnPlateau:on_epoch_end(epoch, logs)
    logs.learning_rate = self:learning_rate()
    local current = monitored(self, logs)
    if not current then
        return
    end
    if self.cooldown_counter > 0 then
        self.cooldown_counter = self.cooldown_counter - 1
        self.wait = 0
    end
    if improves(self, current, self.best) then
        self.best = current
        self.wait = 0
    elseif self.cooldown_counter == 0 then
        self.wait = self.wait + 1
        if self.wait >= self.patience then
            self:reduce(epoch)
        end
    end
end

--- Multiplies the learning rate by `factor` when the monitored metric has not improved for `patience` epochs.
monitor.ReduceLROnPlateau = callback.class({
    name = "ReduceLROnPlateau",
    { "monitor", "string", default = "val_loss" },
    { "factor", "number", default = 0.1, min = 0, below = 1 },
    { "patience", "integer", default = 10, min = 0 },
    { "verbose", "integer", default = 0, min = 0 },
    { "mode", { "auto", "min", "max" }, default = "auto" },
    { "min_delta", "number", default = 1e-4 },
    { "cooldown", "integer", default = 0, min = 0 },
    { "min_lr", "number", default = 0, min = 0 },
}, ReduceLROnPlateau)

-- ---- ModelCheckpoint ------------------------------------------------------------------------------------------------

-- A template's fields: "{epoch:02d}" is Lua's %02d. Doubled braces are literal.
local field_pattern = "^{([%a_][%w_]*):?([^{}]*)}"
local format_pattern = "^([-0]?%d*%.?%d*)([deEfgGs]?)$"

local function format_field(name, format, value)
    local flags, letter = format:match(format_pattern)
    if format == "" then
        return math.type(value) and json.format_number(value) or tostring(value)
    elseif letter == "d" then
        value = math.tointeger(value) or options.fail(
            ("callbacks.ModelCheckpoint: {%s:%s} needs an integer; got %s"):format(name, format, options.show(value)))
    end
    return ("%" .. flags .. (letter == "" and "g" or letter)):format(value)
end

-- Calls `field(name, format)` for each field of a template and returns the text in which its results stand.
local function expand(template, field)
    local parts, at = {}, 1
    while at <= #template do
        local two = template:sub(at, at + 1)
        local name, format = template:match(field_pattern, at)
        if two == "{{" or two == "}}" then
            parts[#parts + 1], at = two:sub(1, 1), at + 2
        elseif name then
            parts[#parts + 1] = field(name, format)
            at = template:find("}", at, true) + 1
        elseif two:find("^[{}]") then
            options.fail(("callbacks.ModelCheckpoint: a field of filepath is {name} or {name:02d}; got %s"):format(
                options.show(template:sub(at))))
        else
            local stop = template:find("[{}]", at) or #template + 1
            parts[#parts + 1], at = template:sub(at, stop - 1), stop
        end
    end
    return table.concat(parts)
end

local ModelCheckpoint = { saved = { "best", "batches_since_saving", "last_batch" } }

function ModelCheckpoint:init()
    if not self.save_best_only and self.mode == "auto" then
        self.mode = "min" -- nothing is compared
    end
    set_up(self)
    self.best = self.initial_value_threshold
    self.batches_since_saving = 0
    expand(self.filepath, function(name, format)
        if not format:find(format_pattern) then
            options.fail(("callbacks.ModelCheckpoint: a format in filepath is like 02d or .3f; got {%s:%s}"):format(
                name, format))
        end
        return ""
    end)
    -- Only with these hooks does fit have to prepare the logs of each batch.
    if self.save_freq ~= "epoch" then
        self.on_epoch_begin, self.on_batch_end = self.note_epoch, self.count_batch
    end
end

function ModelCheckpoint:path(epoch, batch, logs)
    return expand(self.filepath, function(name, format)
        local value = logs[name] or logs[options.full_name(name)]
        if name == "epoch" then
            value = epoch
        elseif name == "batch" and batch then
            value = batch
        end
        if value == nil then
            local known = { "epoch" }
            for _, pair in ipairs(progress.pairs(logs)) do
                known[#known + 1] = pair[1]
            end
            options.fail("callbacks.ModelCheckpoint: " .. options.unknown("unknown field of filepath", name, known))
        end
        return format_field(name, format, value)
    end)
end

-- A checkpoint that cannot be judged is kept rather than lost.
function ModelCheckpoint:should_save(epoch, logs, path)
    local function tell(...)
        if self.verbose > 0 then
            self:say(("Epoch %d: "):format(epoch) .. string.format(...))
        end
    end
    if not self.save_best_only then
        tell("saving model to %s", path)
        return true
    end
    local current = monitored(self, logs)
    if not current then
        return true
    end
    local best = self.best and ("%.5f"):format(self.best) or "none"
    if improves(self, current, self.best) then
        tell("%s improved from %s to %.5f, saving model to %s", self.monitor, best, current, path)
        self.best = current
        return true
    end
    tell("%s did not improve from %s", self.monitor, best)
    return false
end

function ModelCheckpoint:save(epoch, batch, logs)
    local path = self:path(epoch, batch, logs or {})
    if not self:should_save(epoch, logs, path) then
        return
    end
    files.make_parent(path)
    if self.save_weights_only then
        self.model:save_weights(path)
    else
        self.model:save(path)
    end
end

function ModelCheckpoint:on_epoch_end(epoch, logs)
    if self.save_freq == "epoch" then
        self:save(epoch, nil, logs)
    end
end

function ModelCheckpoint:note_epoch(epoch)
    self.epoch = epoch
end

function ModelCheckpoint:count_batch(batch, logs)
    local new_epoch = not self.last_batch or batch <= self.last_batch
    self.batches_since_saving = self.batches_since_saving + (new_epoch and batch or batch - self.last_batch)
    self.last_batch = batch
    if self.batches_since_saving >= self.save_freq then
        self.batches_since_saving = 0
        self:save(self.epoch, batch, logs)
    end
end

--- Saves the model after each epoch, or after every `save_freq` batches. `filepath` may hold {epoch:02d}, {batch} and
-- any metric ({val_loss:.3f}). With save_best_only a file is written only when the monitored metric got better.
monitor.ModelCheckpoint = callback.class({
    name = "ModelCheckpoint",
    { "filepath", "string", required = true },
    { "monitor", "string", default = "val_loss" },
    { "verbose", "integer", default = 0, min = 0 },
    { "save_best_only", "boolean", default = false },
    { "save_weights_only", "boolean", default = false },
    { "mode", { "auto", "min", "max" }, default = "auto" },
    { "save_freq", function(value)
        local batches = math.type(value) and math.tointeger(value)
        if value == "epoch" or batches and batches >= 1 then
            return batches or value
        end
        return nil, '"epoch" or a number of batches'
    end, default = "epoch" },
    { "initial_value_threshold", "number" },
}, ModelCheckpoint)

return monitor
