--- A table of counts: what the metric confusion_matrix reports. Rows are the truth, columns the prediction, ids from 0.

local matrix = {}

--- Counts: m[truth + 1][prediction + 1].
---@class moth.ConfusionMatrix
local Matrix = {}
Matrix.__index = Matrix
Matrix.__name = "moth.confusion_matrix"

--- Wraps a list of rows of counts.
---@param rows integer[][]
---@return moth.ConfusionMatrix
function matrix.new(rows)
    return setmetatable(rows, Matrix)
end

--- Share of the diagonal.
---@return number
function Matrix:accuracy()
    local right, all = 0, 0
    for r, row in ipairs(self) do
        for c, count in ipairs(row) do
            all = all + count
            right = right + (r == c and count or 0)
        end
    end
    return all > 0 and right / all or 0 / 0
end

function Matrix:__tostring()
    local width = #tostring(#self - 1)
    for _, row in ipairs(self) do
        for _, count in ipairs(row) do
            width = math.max(width, #tostring(count))
        end
    end
    local function cells(list)
        local texts = {}
        for i, value in ipairs(list) do
            texts[i] = ("%" .. width .. "s"):format(value)
        end
        return table.concat(texts, " ")
    end
    local ids = {}
    for i = 1, #self do
        ids[i] = i - 1
    end
    local lines = { "true\\predicted  " .. cells(ids) }
    for i, row in ipairs(self) do
        lines[#lines + 1] = ("%14d  %s"):format(i - 1, cells(row))
    end
    return table.concat(lines, "\n")
end

--- Draws it: into a file, or in the terminal without one.
---@param file? string
---@param settings? table
function Matrix:plot(file, settings)
    return require("moth.plot").confusion_matrix(self, file, settings)
end

return matrix
