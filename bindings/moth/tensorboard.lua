--- Event files that TensorBoard reads: a TFRecord file of Event messages.
-- A record is: length (u64), its masked CRC-32C, the data, their masked CRC-32C, all little-endian. The data are one
-- protocol-buffer message of tensorflow/core/util/event.proto, of which scalars need these fields:
--   Event:   1 wall_time (double)   2 step (int64)   3 file_version (string)   5 summary (Summary)
--   Summary: 1 value (repeated Value)      Value: 1 tag (string)   2 simple_value (float)

local callback = require "moth.callback"
local files = require "moth.files"
local options = require "moth.options"

-- ---- TFRecord -------------------------------------------------------------------------------------------------------

local crc_table

local function make_crc_table()
    local t = {}
    for byte = 0, 255 do
        local crc = byte
        for _ = 1, 8 do
            -- Castagnoli's polynomial, bits reversed.
            crc = crc & 1 == 1 and crc >> 1 ~ 0x82F63B78 or crc >> 1
        end
        t[byte] = crc
    end
    return t
end

local function crc32c(data)
    crc_table = crc_table or make_crc_table()
    local crc = 0xFFFFFFFF
    for i = 1, #data do
        crc = crc_table[(crc ~ data:byte(i)) & 0xFF] ~ crc >> 8
    end
    return crc ~ 0xFFFFFFFF
end

-- TFRecord stores no bare CRC, since the CRC of data that hold their own CRC is degenerate.
local function masked_crc32c(data)
    local crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
end

local function record(data)
    local length = ("<I8"):pack(#data)
    return length .. ("<I4"):pack(masked_crc32c(length)) .. data .. ("<I4"):pack(masked_crc32c(data))
end

-- ---- protocol buffers -----------------------------------------------------------------------------------------------

local VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

local function varint(value)
    local bytes = {}
    repeat
        local low = value & 0x7F
        value = value >> 7
        bytes[#bytes + 1] = string.char(value ~= 0 and low | 0x80 or low)
    until value == 0
    return table.concat(bytes)
end

local function field(number, wire, value)
    local body
    if wire == VARINT then
        body = varint(value)
    elseif wire == FIXED64 then
        body = ("<d"):pack(value)
    elseif wire == FIXED32 then
        body = ("<f"):pack(value)
    else
        body = varint(#value) .. value
    end
    return varint(number << 3 | wire) .. body
end

local function scalar_event(time, step, scalars)
    local values = {}
    for i, scalar in ipairs(scalars) do
        values[i] = field(1, BYTES, field(1, BYTES, scalar[1]) .. field(2, FIXED32, scalar[2]))
    end
    return field(1, FIXED64, time) .. field(2, VARINT, step) .. field(5, BYTES, table.concat(values))
end

-- ---- one event file -------------------------------------------------------------------------------------------------

local Writer = {}
Writer.__index = Writer

local function open_writer(directory, now)
    files.make_directory(directory)
    -- A run of its own for each fit; the counter keeps two within a second apart.
    local count = 0
    local function path_of()
        return ("%s/events.out.tfevents.%d.moth.%d.v2"):format(directory, now // 1, count)
    end
    while files.exists(path_of()) do
        count = count + 1
    end
    local path = path_of()
    local file, problem = io.open(path, "wb")
    if not file then
        options.fail(("callbacks.TensorBoard: cannot open %s"):format(problem))
    end
    local writer = setmetatable({ file = file, path = path }, Writer)
    writer:write(field(1, FIXED64, now) .. field(3, BYTES, "brain.Event:2"))
    return writer
end

function Writer:write(event)
    local done, problem = self.file:write(record(event))
    if done then
        done, problem = self.file:flush()
    end
    if not done then
        options.fail(("callbacks.TensorBoard: cannot write %s: %s"):format(self.path, problem))
    end
end

-- ---- the callback ---------------------------------------------------------------------------------------------------

local TensorBoard = {}

function TensorBoard:init()
    self.clock = os.time
    self.writers = {}
    if self.update_freq == "batch" then
        self.update_freq = 1
    end
    -- Only with this hook does fit have to prepare the logs of each batch.
    if self.update_freq ~= "epoch" then
        self.on_batch_end = self.log_batch
    end
end

function TensorBoard:log(part, step, prefix, scalars)
    if #scalars == 0 then
        return
    end
    -- Opened at the first value, so that no empty files are left.
    local writer = self.writers[part] or open_writer(self.log_dir .. "/" .. part, self.clock())
    self.writers[part] = writer
    table.sort(scalars, function(a, b)
        return a[1] < b[1]
    end)
    for _, scalar in ipairs(scalars) do
        scalar[1] = prefix .. scalar[1]
    end
    writer:write(scalar_event(self.clock(), step, scalars))
end

function TensorBoard:on_train_begin()
    self.batches = 0
end

function TensorBoard:log_batch(_, logs)
    self.batches = self.batches + 1
    if self.batches % self.update_freq == 0 then
        local scalars = {}
        for name, value in pairs(logs or {}) do
            scalars[#scalars + 1] = math.type(value) and { name, value } or nil
        end
        self:log("train", self.batches, "batch_", scalars)
    end
end

function TensorBoard:on_epoch_end(epoch, logs)
    local train, validation = {}, {}
    for name, value in pairs(logs) do
        local base = name:match("^val_(.*)")
        local list = base and validation or train
        list[#list + 1] = math.type(value) and { base or name, value } or nil
    end
    local rate = self.model.optimizer and self.model.optimizer.learning_rate
    if math.type(rate) and not logs.learning_rate then
        train[#train + 1] = { "learning_rate", rate }
    end
    self:log("train", epoch, "epoch_", train)
    self:log("validation", epoch, "epoch_", validation)
end

function TensorBoard:on_train_end()
    for _, writer in pairs(self.writers) do
        writer.file:close()
    end
    self.writers = {}
end

return {
    --- Writes losses and metrics for TensorBoard: `tensorboard --logdir logs`. update_freq is "epoch", "batch" or a
    -- number of batches.
    TensorBoard = callback.class({
        name = "TensorBoard",
        { "log_dir", "string", default = "logs" },
        { "update_freq", function(value)
            local batches = math.type(value) and math.tointeger(value)
            if value == "epoch" or value == "batch" or batches and batches >= 1 then
                return batches or value
            end
            return nil, '"epoch", "batch" or a number of batches'
        end, default = "epoch" },
    }, TensorBoard),
}
