--- A page of HTML that needs nothing beside itself: texts, tables, and plots as the SVG that moth wrote.
local Page = {}
Page.__index = Page

local page = {}

local head = [[
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%s</title>
<style>
body { font: 16px/1.5 Helvetica, Arial, 'DejaVu Sans', sans-serif; color: #222; max-width: 60em; margin: 2em auto;
    padding: 0 1em; }
h1 { line-height: 1.2; } h2 { margin-top: 2em; border-bottom: 1px solid #ddd; } p { max-width: 46em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1em 0; }
th, td { padding: .25em .8em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { border-bottom: 2px solid #888; vertical-align: bottom; white-space: normal; line-height: 1.25; }
th:first-child, td:first-child { text-align: left; }
td.within { color: #00694b; font-weight: bold; } td.outside { color: #b2182b; font-weight: bold; }
.wide { overflow-x: auto; } svg { max-width: 100%%; height: auto; }
</style></head><body>
<h1>%s</h1>
]]

local function escape(value)
    return (tostring(value):gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

---@param title string
---@return table
function page.new(title)
    return setmetatable({ parts = { head:format(escape(title), escape(title)) } }, Page)
end

function Page:add(text)
    self.parts[#self.parts + 1] = text
end

function Page:section(title)
    self:add("<h2>" .. escape(title) .. "</h2>")
end

function Page:text(text)
    self:add("<p>" .. escape(text) .. "</p>")
end

-- Whether a column says nothing: the range, where there is one seed.
local function is_empty(rows, column)
    for _, row in ipairs(rows) do
        if (row[column] or "") ~= "" then
            return false
        end
    end
    return true
end

--- A table, without the columns that are empty; where a row has the key `verdict`, it is the class of its last cell.
---@param names string[]
---@param rows table[]
function Page:table(names, rows)
    local lines = {}
    local function add(row, kind)
        local cells = {}
        for i = 1, #names do
            local class = i == #names and row.verdict and (' class="%s"'):format(row.verdict) or ""
            if not is_empty(rows, i) then
                cells[#cells + 1] = ("<%s%s>%s</%s>"):format(kind, class, escape(row[i] or ""), kind)
            end
        end
        lines[#lines + 1] = "<tr>" .. table.concat(cells) .. "</tr>"
    end
    add(names, "th")
    for _, row in ipairs(rows) do
        add(row, "td")
    end
    self:add('<div class="wide"><table>\n' .. table.concat(lines, "\n") .. "\n</table></div>")
end

--- A plot: the SVG itself, so that the page needs no other file.
---@param file string
function Page:plot(file)
    local svg <close> = assert(io.open(file))
    self:add(svg:read "a")
end

---@param file string
function Page:write(file)
    local out <close> = assert(io.open(file, "w"))
    out:write(table.concat(self.parts, "\n"), "\n</body></html>\n")
end

--- "118,282"
---@param n integer
---@return string
function page.count(n)
    local text = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
    return text
end

--- Median, and range where there is one, of some numbers.
---@param values number[]
---@param format string
---@return string median
---@return string range  empty for one value
---@return number? middle
function page.spread(values, format)
    if #values == 0 then
        return "", ""
    end
    local sorted = table.move(values, 1, #values, 1, {})
    table.sort(sorted)
    local middle = sorted[(#sorted + 1) // 2]
    local range = #sorted > 1 and (format .. " to " .. format):format(sorted[1], sorted[#sorted]) or ""
    return format:format(middle), range, middle
end

return page
