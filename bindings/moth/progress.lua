--- Progress lines in the manner of Keras.
--
--     Epoch 3/20 120/375 ━━━━━━╸━━━━━━━━━━━━━ ETA: 3s 12us/sample - loss: 0.3100 - accuracy: 0.9100
--
-- One live line on standard error, drawn over itself at most every 0.1 s; one full line on standard output when the
-- epoch ends. Without a terminal there are only the full lines. The bar gets what room the rest leaves; a live line
-- that is still too long loses metrics at its end, so it never wraps. A full line is a result: it loses nothing, and
-- breaks between metrics where a terminal is too narrow.

local terminal = require "moth.terminal"

local found, core = pcall(require, "moth.core")
local clock = found and core.clock or os.time

local progress = {}

local BAR_WIDTH, BAR_MINIMUM = 20, 5
local INTERVAL = 0.1

-- ---- where it is drawn ----------------------------------------------------------------------------------------------

--- A pair of streams: progress and messages go to `err`, results to `out`. At most one live line is on the screen.
---@class moth.Screen
---@field err file*
---@field out file*
---@field live boolean  whether a line may be drawn over itself
---@field color boolean
---@field out_color boolean
---@field utf8 boolean
---@field width fun(): integer
---@field out_width fun(): integer?  nil where lines may have any length
---@field clock fun(): number  seconds
local Screen = {}
Screen.__index = Screen

--- Makes a screen; what is not given is found out from the process's own streams.
---@param settings? table  any field of moth.Screen
---@return moth.Screen
function progress.screen(settings)
    local screen = setmetatable({ shown = false }, Screen)
    for key, value in pairs(settings or {}) do
        screen[key] = value
    end
    local function default(key, make)
        if screen[key] == nil then
            screen[key] = make()
        end
    end
    screen.err = screen.err or io.stderr
    screen.out = screen.out or io.stdout
    screen.width = screen.width or terminal.width
    screen.clock = screen.clock or clock
    default("utf8", terminal.utf8)
    default("live", function()
        return terminal.can_move() and terminal.is_tty("stderr")
    end)
    default("color", function()
        return terminal.color("stderr")
    end)
    default("out_color", function()
        return terminal.color("stdout")
    end)
    default("out_width", function()
        return terminal.is_tty("stdout") and screen.width or function() end
    end)
    return screen
end

--- Draws the live line over the one before.
---@param text string
function Screen:draw(text)
    self.err:write("\r", text, "\27[K")
    self.err:flush()
    self.shown = true
end

--- Takes the live line off the screen.
function Screen:clear()
    if self.shown then
        self.err:write("\r\27[K")
        self.err:flush()
        self.shown = false
    end
end

-- Takes what is drawn over itself off the screen, lets `write` write, and draws the block again below.
function Screen:above(write)
    self:clear()
    if self.block then
        self.err:write(("\27[%dA\27[J"):format(#self.block))
        self.err:flush()
    end
    write()
    if self.block then
        self.err:write(table.concat(self.block, "\n"), "\n")
        self.err:flush()
    end
end

--- Writes a message on a line of its own to standard error.
---@param text string
function Screen:message(text)
    self:above(function()
        -- The two streams often are one terminal: what was said first is to stand first.
        self.out:flush()
        self.err:write(text, "\n")
        self.err:flush()
    end)
end

--- Writes a line to standard output.
---@param text string
function Screen:result(text)
    self:above(function()
        self.out:write(text, "\n")
        self.out:flush()
    end)
end

--- Keeps some lines at the bottom of a live screen, above the live line, in place of those kept before.
---@param lines string[]
function Screen:keep(lines)
    self:drop()
    self.err:write(table.concat(lines, "\n"), "\n")
    self.err:flush()
    self.block = lines
end

--- Takes the kept lines off the screen.
function Screen:drop()
    self:above(function()
        self.block = nil
    end)
end

--- Leaves the kept lines where they stand; what comes next is written below.
function Screen:leave()
    self:clear()
    self.block = nil
end

local default_screen

--- The screen of the process's own streams.
---@return moth.Screen
function progress.default()
    default_screen = default_screen or progress.screen()
    return default_screen
end

-- ---- how values look ------------------------------------------------------------------------------------------------

--- A metric's value as Keras shows it.
---@param value number
---@return string
function progress.number(value)
    if value ~= value then
        return "nan"
    elseif value == math.huge or value == -math.huge then
        return value > 0 and "inf" or "-inf"
    end
    return (math.abs(value) > 1e-3 and "%.4f" or "%.4e"):format(value)
end

--- The time that one step or sample takes.
---@param seconds number
---@param unit string
---@return string
function progress.rate(seconds, unit)
    if seconds >= 1 or seconds == 0 then
        return ("%.0fs/%s"):format(seconds, unit)
    elseif seconds >= 1e-3 then
        return ("%.0fms/%s"):format(seconds * 1e3, unit)
    end
    return ("%.0fus/%s"):format(seconds * 1e6, unit)
end

--- A span of time that is still to come, in whole seconds.
---@param seconds number
---@return string
function progress.remaining(seconds)
    local s = math.floor(seconds)
    if s > 3600 then
        return ("%d:%02d:%02d"):format(s // 3600, s % 3600 // 60, s % 60)
    elseif s > 60 then
        return ("%d:%02d"):format(s // 60, s % 60)
    end
    return ("%ds"):format(s)
end

--- A span of time that has passed; short ones keep a digit, since a fast epoch takes less than a second.
---@param seconds number
---@return string
function progress.elapsed(seconds)
    if seconds < 9.95 then
        return ("%.1fs"):format(seconds)
    end
    return seconds > 60 and progress.remaining(seconds + 0.5) or ("%.0fs"):format(seconds)
end

-- ---- the line -------------------------------------------------------------------------------------------------------

local paint = terminal.paint

local function unicode_bar(fraction, width, color)
    local halves = math.floor(fraction * width * 2)
    local full, half = halves // 2, halves % 2
    local done = ("━"):rep(full) .. (half == 1 and "╸" or "")
    local rest = width - full - half
    if color then
        return paint(done, "32", true) .. paint(("━"):rep(rest), "90", true)
    end
    return done .. ("─"):rep(rest)
end

local function ascii_bar(fraction, width)
    local inner = width - 2
    local full = math.floor(fraction * inner)
    local tip = full < inner and full > 0
    return "[" .. ("="):rep(tip and full - 1 or full) .. (tip and ">" or "") .. ("."):rep(inner - full) .. "]"
end

local function metric_texts(metrics)
    local texts = {}
    for _, metric in ipairs(metrics) do
        texts[#texts + 1] = (" - %s: %s"):format(metric[1], progress.number(metric[2]))
    end
    return texts
end

local function total_columns(texts)
    local sum = 0
    for _, text in ipairs(texts) do
        sum = sum + terminal.columns(text)
    end
    return sum
end

-- Keeps as many metrics as fit into the columns.
local function cut_metrics(texts, columns)
    local kept = {}
    for _, text in ipairs(texts) do
        columns = columns - terminal.columns(text)
        if columns < 0 then
            break
        end
        kept[#kept + 1] = text
    end
    return table.concat(kept)
end

-- Where the columns are too few, the line goes on below, indented.
local function break_metrics(texts, first, columns)
    local parts, used = {}, first
    for _, text in ipairs(texts) do
        local size = terminal.columns(text)
        if used + size > columns and used > 3 then
            parts[#parts + 1] = "\n   "
            used = 3
        end
        parts[#parts + 1] = text
        used = used + size
    end
    return table.concat(parts)
end

--- What stands on a line, from the left: label, counter, bar, time, rate, metrics.
---@class moth.ProgressParts
---@field label string
---@field counter string
---@field fraction? number  0 to 1; without it there is no bar
---@field time string
---@field rate string
---@field metrics table[]  {name, value}

-- The longest line that fits: first the bar gives way, then the rate, the label, the time, and metrics from the end.
local function compose(parts, columns, style)
    local texts = metric_texts(parts.metrics)
    local wanted = total_columns(texts)
    local label = parts.label ~= "" and parts.label .. " " or ""
    local function size(with_label, with_rate)
        return (with_label and terminal.columns(label) or 0) + terminal.columns(parts.counter) + 1 + #parts.time
            + (with_rate and #parts.rate + 1 or 0)
    end
    local room = columns - wanted - size(true, true) - 1
    local rate, bar = true, ""
    if parts.fraction and room >= BAR_MINIMUM then
        local width = math.min(room, BAR_WIDTH)
        bar = (style.utf8 and unicode_bar or ascii_bar)(parts.fraction, width, style.color) .. " "
    elseif size(true, true) + wanted > columns then
        rate = false
        if size(true, false) > columns and not style.whole then
            label = ""
        end
    end
    local time = (style.whole or size(false, false) <= columns) and parts.time or ""
    local head = size(label ~= "", rate) + terminal.columns(bar)
    local tail = style.whole and break_metrics(texts, head, columns) or cut_metrics(texts, columns - head)
    return label .. paint(parts.counter, "1", style.color) .. " " .. bar .. paint(time, "1", style.color)
        .. (rate and " " .. parts.rate or "") .. tail
end

-- ---- a bar ----------------------------------------------------------------------------------------------------------

--- The progress of one epoch, evaluation or prediction.
---@class moth.Progress
local Progress = {}
Progress.__index = Progress

-- Inside a sweep the bars of a trial are a detail of its live line, and their full lines are not results.
local nested

--- Until `progress.unnest`, bars show `label` in front and leave no full lines.
---@param label string
function progress.nest(label)
    nested = label
end

--- Ends `progress.nest`.
function progress.unnest()
    nested = nil
end

--- Starts a bar.
---@param settings { label?: string, total?: integer, samples?: integer, verbose?: integer, interval?: number,
---   screen?: moth.Screen }  total: steps, unknown without; samples: in all steps together, for the rate
---@return moth.Progress
function progress.start(settings)
    local screen = settings.screen or progress.default()
    return setmetatable({
        label = settings.label or "",
        total = settings.total,
        samples = settings.samples,
        verbose = settings.verbose or 1,
        interval = settings.interval or INTERVAL,
        screen = screen,
        started = screen.clock(),
        done = 0,
    }, Progress)
end

-- Seconds per step. The first step also traces, allocates and fills caches, so it counts only while there is no other.
function Progress:step_time()
    if self.done == 0 then
        return 0
    elseif self.done > self.first_done then
        return (self.last_step - self.after_first) / (self.done - self.first_done)
    end
    return (self.last_step - self.started) / self.done
end

function Progress:parts(metrics, finished)
    local total = self.total
    local step = self:step_time()
    local counter = total and ("%%%dd/%%d"):format(#tostring(total)):format(self.done, total) or self.done .. "/?"
    local time
    if finished or not total then
        time = progress.elapsed(self.screen.clock() - self.started)
    else
        time = "ETA: " .. progress.remaining(step * math.max(total - self.done, 0))
    end
    local per_sample = self.samples and total and total > 0
    return {
        label = self.label,
        counter = counter,
        fraction = total and total > 0 and math.min(self.done / total, 1) or nil,
        time = time,
        rate = per_sample and progress.rate(step * total / self.samples, "sample") or progress.rate(step, "step"),
        metrics = metrics,
    }
end

function Progress:live()
    return self.verbose == 1 and self.screen.live
end

--- Tells that `done` steps are done. Draws only when the last drawing is old enough.
---@param done integer
---@param metrics? table[]|fun(): table[]  {name, value} in the order to show, or a function that gives them when drawn
function Progress:update(done, metrics)
    local now = self.screen.clock()
    if not self.after_first and done > 0 then
        self.after_first, self.first_done = now, done
    end
    self.done, self.last_step = done, now
    if not self:live() or self.drawn and now - self.drawn < self.interval then
        return
    end
    self.drawn = now
    self:draw(metrics)
end

function Progress:draw(metrics)
    local screen = self.screen
    local parts = self:parts(type(metrics) == "function" and metrics() or metrics or {}, false)
    if self.note then
        parts.time, parts.rate = self.note, ""
    end
    if nested then
        parts.label = nested .. (parts.label ~= "" and " " .. parts.label or "")
    end
    -- The last column stays free: some terminals wrap as soon as it is filled.
    screen:draw(compose(parts, screen.width() - 1, { utf8 = screen.utf8, color = screen.color }))
end

--- Shows what happens now instead of the time, for example "validating 12/94".
---@param note string
---@param metrics? table[]|fun(): table[]
function Progress:status(note, metrics)
    local now = self.screen.clock()
    if not self:live() or self.drawn and now - self.drawn < self.interval then
        return
    end
    self.drawn, self.note = now, note
    self:draw(metrics)
    self.note = nil
end

local function plain_line(parts)
    local head = table.concat({ parts.counter, parts.time, parts.rate }, " - ")
    return (parts.label ~= "" and parts.label .. " - " or "") .. head .. table.concat(metric_texts(parts.metrics))
end

--- Ends the bar with its full line on standard output.
---@param metrics? table[]
function Progress:finish(metrics)
    local screen = self.screen
    if self.verbose == 0 or nested then
        return
    end
    self.total = self.total or self.done
    local parts = self:parts(metrics or {}, true)
    local columns = screen.out_width()
    if self.verbose == 2 or not columns then
        screen:result(plain_line(parts))
    else
        screen:result(compose(parts, columns - 1, { utf8 = screen.utf8, color = screen.out_color, whole = true }))
    end
end

--- Ends the bar without a result: the live line stays where it is, and what follows starts on a new line.
function Progress:abort()
    if self.screen.shown and not nested then
        self.screen.err:write("\n")
        self.screen.err:flush()
        self.screen.shown = false
    end
end

--- The logs of an epoch or batch as {name, value} pairs: loss, the metrics in the given order, other names sorted,
-- then the same for val_. Values that are not numbers (a confusion matrix) are left out.
---@param logs table<string, any>
---@param names? string[]  the order of the metrics, without val_
---@return table[]
function progress.pairs(logs, names)
    local rank = { loss = 0 }
    for i, name in ipairs(names or {}) do
        rank[name] = rank[name] or i
    end
    local list = {}
    for name, value in pairs(logs) do
        if math.type(value) then
            local base = name:match("^val_(.*)") or name
            -- The learning rate is no metric and comes last.
            local group = name == "learning_rate" and 2 or base ~= name and 1 or 0
            list[#list + 1] = { name, value, group = group, rank = rank[base] or math.huge }
        end
    end
    table.sort(list, function(a, b)
        if a.group ~= b.group then
            return a.group < b.group
        elseif a.rank ~= b.rank then
            return a.rank < b.rank
        end
        return a[1] < b[1]
    end)
    return list
end

return progress
