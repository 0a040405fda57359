--- model:summary(): Keras's table of layers, output shapes and numbers of weights.

local core = require "moth.core"
local options = require "moth.options"

local summary = {}

--- An integer with commas between thousands.
---@param n integer
---@return string
function summary.thousands(n)
    local text = tostring(n)
    local count
    repeat
        text, count = text:gsub("^(-?%d+)(%d%d%d)", "%1,%2")
    until count == 0
    return text
end

local function shape_text(shape)
    local parts = { "None" }
    for i, size in ipairs(shape) do
        parts[i + 1] = tostring(size)
    end
    return "(" .. table.concat(parts, ", ") .. ")"
end

-- Text in a column that ends at `to`; what is too long is cut, with one space left.
local function column(text, width)
    if #text >= width then
        text = text:sub(1, width - 1)
    end
    return text .. (" "):rep(width - #text)
end

-- Columns end at 29, 55 and 65 as Keras 2 has them; models with branches get a column for what a layer is fed from.
local function line(cells, ends)
    local text, from = "", 0
    for i, cell in ipairs(cells) do
        text = text .. column(cell, ends[i] - from)
        from = ends[i]
    end
    return text
end

--- The table as text.
---@param model moth.Model
---@return string
function summary.text(model)
    local branches = not model.sequential
    local ends = branches and { 29, 55, 65, 95 } or { 29, 55, 65 }
    local width = ends[#ends]
    local rule, double = ("_"):rep(width), ("="):rep(width)
    local lines = { rule, line({ "Layer (type)", "Output Shape", "Param #", branches and "Connected to" or nil }, ends),
        double }
    local total, trainable, fixed = 0, 0, 0
    local rows = {}
    for _, row in ipairs(model:rows()) do
        if branches or row.type ~= "Input" then
            rows[#rows + 1] = row
        end
    end
    for i, row in ipairs(rows) do
        local count = row.trainable + row.fixed
        if row.use == 0 then
            total, trainable, fixed = total + count, trainable + row.trainable, fixed + row.fixed
        end
        local name = ("%s (%s)"):format(row.name == "" and "input" or row.name, row.type)
        lines[#lines + 1] = line({ name, shape_text(row.shape), tostring(count),
            branches and table.concat(row.from, ", ") or nil }, ends)
        lines[#lines + 1] = i < #rows and rule or double
    end
    lines[#lines + 1] = "Total params: " .. summary.thousands(total)
    lines[#lines + 1] = "Trainable params: " .. summary.thousands(trainable)
    lines[#lines + 1] = "Non-trainable params: " .. summary.thousands(fixed)
    lines[#lines + 1] = rule
    return table.concat(lines, "\n")
end

--- Prints the table.
function core.model_methods:summary()
    if not self.built then
        options.fail("summary: the shape of the input is not known yet; give the first layer input_shape")
    end
    print(summary.text(self))
end

return summary
